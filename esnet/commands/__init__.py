"""Implementations of the `esnet` commands, one file each: thin calls of the library that print its results."""
