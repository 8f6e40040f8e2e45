"""Densities of states and compositions as arrays."""
