"""What was said of a campaign to the people who want to be told."""
