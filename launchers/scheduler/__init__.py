"""States of jobs from a batch scheduler, SLURM or PBS. Only a positive answer counts; silence means unknown."""
