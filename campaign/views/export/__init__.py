"""A campaign's results for other programs: rows with everything, structures, entries. Nothing here writes to it."""
