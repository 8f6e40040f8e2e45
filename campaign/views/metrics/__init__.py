"""Metrics of a campaign, reported by `campaign metrics`."""
