"""What people change of a running campaign, with who did it and when."""
