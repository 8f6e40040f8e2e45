"""A whole campaign as one file: its format, what is read for it, and how another database takes it."""
