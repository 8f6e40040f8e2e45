"""The decision loop on known data."""
