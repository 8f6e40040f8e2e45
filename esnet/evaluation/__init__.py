"""Evaluation of a trained model (`esnet evaluate`)."""
