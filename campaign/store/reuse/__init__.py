"""Calculations reused from other campaigns."""
