"""The life cycle of a campaign in the database: paused, stopped, archived, listed, deleted."""
