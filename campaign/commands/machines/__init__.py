"""The commands that set up and inspect the cluster and the database."""
