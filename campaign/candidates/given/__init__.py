"""Crystals used as candidates without substitution: their sources, the crystals left out, and duplicates."""
