"""Errors about a cluster's settings that a user can mend."""


class ClusterError(RuntimeError):
    """Something about the cluster's files is wrong; the message names the file, what was found and the remedy."""
