"""The network, and its folded form for inference."""
