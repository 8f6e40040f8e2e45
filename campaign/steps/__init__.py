"""What each firework does."""
