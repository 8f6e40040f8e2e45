"""Errors about the database: each is one sentence that a user can act on."""


class DatabaseError(RuntimeError):
    """A problem with the database; the message names it and the remedy, but never a password."""


class LaunchpadFileError(DatabaseError):
    """my_launchpad.yaml is missing, unreadable or invalid."""


class DatabaseUnreachable(DatabaseError):
    """No MongoDB responded, or it refused the login."""


class DatabaseSilent(DatabaseUnreachable):
    """No MongoDB responded."""


class DatabaseNotReplicaSet(DatabaseError):
    """The server is standalone, but a campaign's state changes need transactions."""


class MongoServerError(DatabaseError):
    """The embedded MongoDB could not be started or stopped."""
