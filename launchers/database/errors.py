"""The errors that anything about the database raises: each one sentence that a user can act on."""


class DatabaseError(RuntimeError):
    """Something about the database is wrong; the message names what and the remedy, and never a password."""


class LaunchpadFileError(DatabaseError):
    """my_launchpad.yaml is missing, cannot be read, or says something that cannot be."""


class DatabaseUnreachable(DatabaseError):
    """No MongoDB answered, or it did not let us in."""


class DatabaseNotReplicaSet(DatabaseError):
    """The server is standalone, but changes of a campaign's state need transactions."""


class MongoServerError(DatabaseError):
    """The embedded MongoDB could not be started or stopped."""
