"""Where samples come from: VASP's files and the Materials Project."""
