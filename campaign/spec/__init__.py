"""The campaign file: its fields, its reader, and checks of everything it refers to."""
