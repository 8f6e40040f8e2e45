"""Files and folders: atomic writes, locks, versions, and errors a user can act on."""
