"""Recovery from killed workers, lost jobs, and failures."""
