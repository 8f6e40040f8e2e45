"""Requested inputs of a calculation: INCAR tags, k-points, and settings outside the campaign file."""
