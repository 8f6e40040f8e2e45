"""What a campaign did over time, as its live page shows it."""
