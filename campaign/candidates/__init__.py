"""Generation of unique candidate crystals from prototypes and elements. Pure: no database."""
