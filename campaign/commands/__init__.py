"""What each command of `campaign` does, a file for each command or group; `campaign.cli` declares their options."""
