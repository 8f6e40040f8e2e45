"""Fits that correct predictions, and their data."""
