"""The commands that manage whole campaigns: list, pause, resume, stop, archive, delete, export, import."""
