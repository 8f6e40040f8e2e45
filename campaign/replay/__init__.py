"""Known data for `campaign replay`: read from tables, data sets and campaigns, and policies compared on it."""
