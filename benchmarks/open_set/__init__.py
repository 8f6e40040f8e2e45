"""The open data set: IS-DOS and RS-DOS of the project's own campaigns, in compact form with a datasheet.

See `__main__`.
"""
