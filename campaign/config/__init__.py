"""Reading settings: strict models, YAML with line numbers, and plugins. Imports no other package of this project."""
