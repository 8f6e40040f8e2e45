"""What each command of `esnet` does, a file for each. Thin: the library is called, and its result shown."""
