"""Launching work on machines: the database, and the workers that compute."""
