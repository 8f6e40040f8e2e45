"""Which predictions are promoted to a relaxation. Pure: no database."""
