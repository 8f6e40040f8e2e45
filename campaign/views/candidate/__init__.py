"""The page of one candidate: all that is known of it, read by its id alone."""
