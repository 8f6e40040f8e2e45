"""Reading settings: strict models, YAML with line numbers, and plugins. Imports nothing of ours."""
