"""Corrects predictions with a campaign's relaxations: pure arithmetic."""
