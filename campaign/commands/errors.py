"""Errors that a user can fix: shown as one message, without a traceback."""

from pymongo.errors import ConnectionFailure

from campaign.config.yaml_file import CampaignFileError
from esnet.files.errors import UserError
from launchers.cluster.errors import ClusterError
from launchers.database.errors import DatabaseError
from launchers.workers.local import WorkersDieError

#: `campaign.config` and `launchers` import none of our other packages, so their errors are not `UserError`.
_MENDABLE = (UserError, CampaignFileError, ClusterError, DatabaseError, WorkersDieError)


def is_user_error(error: BaseException) -> bool:
    """Whether the message of an error is sufficient for a user."""
    return isinstance(error, _MENDABLE)


def message_for_user(error: BaseException) -> str | None:
    """Return the message shown instead of a traceback; None for an error that a user cannot fix."""
    if isinstance(error, ConnectionFailure):
        return (
            "the database stopped answering. See `campaign db status`; when it runs again, repeat the command to "
            "continue"
        )
    return str(error) if is_user_error(error) else None
