"""How good decisions were: precision, recall, cost, and their intervals. Pure: no database."""
