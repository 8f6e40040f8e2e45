"""Export of a campaign's results as rows, structures and entries; the campaign is only read."""
