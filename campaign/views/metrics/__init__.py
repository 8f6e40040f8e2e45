"""What `campaign metrics` reports."""
