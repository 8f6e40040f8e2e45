"""The invariants of a campaign, checked from its database alone. Nothing here writes."""
