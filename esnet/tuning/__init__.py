"""Learning rate and batch size with Ray Tune and Ax (`esnet tune`)."""
