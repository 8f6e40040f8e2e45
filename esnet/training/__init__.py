"""Training: one network, an ensemble, fine-tuning, and resuming."""
