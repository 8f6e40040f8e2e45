"""Crystals that become candidates as they are: where they are read from, what is left out, and duplicates."""
