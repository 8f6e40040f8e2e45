"""The commands that change a running campaign: candidates added, decisions by hand, settings."""
