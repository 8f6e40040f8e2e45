"""Spent and remaining budget of a campaign."""
