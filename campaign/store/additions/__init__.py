"""Candidates that come to a campaign after its start."""
