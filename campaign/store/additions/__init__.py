"""Candidates added to a campaign after its start."""
