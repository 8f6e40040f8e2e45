"""Correction of predictions with a campaign's relaxations; pure arithmetic."""
