"""Fits that correct predictions, and the data for them."""
