"""The campaign file: its fields, reading it, checking what it names."""
