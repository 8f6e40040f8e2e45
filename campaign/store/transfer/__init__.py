"""Export of a whole campaign as one file: its format, reading, and writing into another database."""
