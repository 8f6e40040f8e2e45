"""A campaign's activity over time, for its live page."""
