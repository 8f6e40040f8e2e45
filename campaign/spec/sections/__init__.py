"""The sections of a campaign file, one module each; every field states its meaning, unit and allowed values."""
