"""Data of each figure of a campaign as plain arrays, without plotting."""
