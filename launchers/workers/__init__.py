"""FireWorks workers on this machine."""
