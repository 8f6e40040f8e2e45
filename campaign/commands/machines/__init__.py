"""The commands that set up and look at the cluster and the database."""
