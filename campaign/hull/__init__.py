"""Formation energies and energies above the convex hull. Pure: no database."""
