"""Sources of samples: VASP's files and the Materials Project."""
