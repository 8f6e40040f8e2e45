"""Ray, started or joined, inside a SLURM job or on this machine."""
