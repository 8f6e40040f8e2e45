"""The sections of a campaign file, a file each. Every field says what it means, its unit, and what is allowed."""
