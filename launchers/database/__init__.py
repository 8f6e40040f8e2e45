"""my_launchpad.yaml, and all connections made from it."""
