"""One module for each command of `esnet`. Thin: options in, library called, result shown."""
