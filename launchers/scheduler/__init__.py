"""What a batch scheduler, SLURM or PBS, says of its jobs. Only a positive answer is one; silence means unknown."""
