"""Work that is due, and its submission exactly once."""
