"""Combination of several predictions: weights, and correlation of the errors. Pure numbers."""
