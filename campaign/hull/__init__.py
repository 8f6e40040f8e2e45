"""Formation energies and distances to the convex hull. Pure: no database."""
