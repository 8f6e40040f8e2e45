"""Evaluate a trained model (`esnet evaluate`)."""
