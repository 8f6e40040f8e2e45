"""Data sets on disk, their splits, and batches for Keras."""
