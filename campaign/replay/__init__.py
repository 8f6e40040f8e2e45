"""Replay of the decision loop on known data."""
