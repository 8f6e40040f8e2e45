"""Prototypes and elements to unique candidate crystals. Pure: no database."""
