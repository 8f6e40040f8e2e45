"""Implementations of the `esnet` commands, one file each, which call the library and print its results."""
