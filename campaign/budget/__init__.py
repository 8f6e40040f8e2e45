"""What a campaign has spent and may still spend."""
