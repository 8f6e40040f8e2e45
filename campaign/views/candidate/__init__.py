"""Page of one candidate, read by its id alone."""
