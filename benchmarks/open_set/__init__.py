"""The open data set: IS-DOS and RS-DOS of the project's own campaigns, packed, with a datasheet; see `__main__`."""
