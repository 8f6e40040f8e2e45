"""How the work gets onto machines: the database, and the workers that compute."""
