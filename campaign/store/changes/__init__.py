"""Changes that people make to a running campaign, with user and time."""
