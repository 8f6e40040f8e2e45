"""Status of a campaign, reported by `campaign status`."""
