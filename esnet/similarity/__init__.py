"""Similarity of densities of states."""
