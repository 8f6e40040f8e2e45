"""Candidates before their IS-DOS, in campaigns with a prefilter."""
