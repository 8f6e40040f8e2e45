"""Predictions corrected by what a campaign has relaxed: pure arithmetic."""
