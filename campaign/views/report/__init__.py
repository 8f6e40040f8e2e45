"""A campaign as one HTML page, as print figures, and as CSV files; made of `campaign.views.figures`."""
