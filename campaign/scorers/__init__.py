"""Sources of predictions: ESNet, interatomic potentials, trained graph models, plugins."""
