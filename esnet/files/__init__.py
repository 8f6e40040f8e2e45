"""Files and folders: atomic writes, locks, versions, and errors that a user can fix."""
