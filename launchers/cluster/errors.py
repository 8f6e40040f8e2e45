"""Errors in a cluster's settings that a user can fix."""


class ClusterError(RuntimeError):
    """The cluster's files have a problem; the message names the file, what was found and the remedy."""
