"""What `campaign status` reports."""
