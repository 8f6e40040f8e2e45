"""Views of a campaign: tables, reports, pages and status."""
