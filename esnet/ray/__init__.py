"""Start or join Ray, in a SLURM job or on this machine."""
