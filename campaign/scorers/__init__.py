"""Where predictions come from: ESNet, interatomic potentials, plugins."""
