"""How alike two densities of states are."""
