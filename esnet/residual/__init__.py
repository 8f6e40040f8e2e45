"""Residuals of formation energies after subtracting those of an interatomic potential."""
