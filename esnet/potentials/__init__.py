"""Interatomic potentials: names, energies, and relaxations."""
