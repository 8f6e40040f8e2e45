"""What is due, and submitting it exactly once."""
