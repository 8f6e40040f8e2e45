"""Report of a campaign as an HTML page, print figures and CSV files, from `campaign.views.figures`."""
