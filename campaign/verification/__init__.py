"""Invariants of a campaign, checked from its database alone. Read-only."""
