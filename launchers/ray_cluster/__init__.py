"""A Ray cluster over the nodes of a SLURM job: batch script, one node of it, Grafana dashboard (docs/how-to/ray.md)."""
