"""A trained model on disk: its networks, uncertainty and description."""
