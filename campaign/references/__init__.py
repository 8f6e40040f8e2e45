"""Reference sets, and the phases they are computed from."""
