"""What is left of formation energies when those of an interatomic potential are taken from them."""
