"""Candidates before their IS-DOS, as the prefilter finds and leaves them."""
