"""The network, and the same network folded for inference."""
