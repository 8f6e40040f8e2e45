"""How good a trained model is (`esnet evaluate`)."""
