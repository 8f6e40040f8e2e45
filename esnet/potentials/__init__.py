"""Interatomic potentials: which there are, what their energies are, and relaxations with them."""
