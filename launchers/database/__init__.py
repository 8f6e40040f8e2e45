"""my_launchpad.yaml, and every connection that is built from it."""
