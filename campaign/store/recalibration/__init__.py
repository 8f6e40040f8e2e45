"""Fits that correct predictions, and what they are made of."""
