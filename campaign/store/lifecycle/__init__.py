"""A campaign's whole life in the database: paused, stopped, archived, listed, deleted."""
