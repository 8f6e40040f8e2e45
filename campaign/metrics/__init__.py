"""Quality of decisions: precision, recall, cost, and their intervals. Pure: no database."""
