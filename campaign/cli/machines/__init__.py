"""The commands `campaign cluster` and `campaign db`: names, options, help."""
