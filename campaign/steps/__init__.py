"""The work of each firework."""
