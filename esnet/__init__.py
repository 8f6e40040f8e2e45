"""ESNet: densities of states of unrelaxed crystals in, formation energies of the relaxed ones out."""
