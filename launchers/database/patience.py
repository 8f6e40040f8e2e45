"""Wait for an unavailable database instead of failing."""

import logging
import time
from collections.abc import Callable
from typing import TypeVar

from pymongo.errors import ConnectionFailure, PyMongoError

logger = logging.getLogger(__name__)

T = TypeVar("T")
#: Default waiting time if no setting applies (`retries.database_wait_hours`).
DEFAULT_WAIT_S = 2 * 3600.0
_FIRST_PAUSE_S = 0.2
_LONGEST_PAUSE_S = 5.0


def is_outage(error: BaseException) -> bool:
    """Whether an error means that the database is unavailable, so that a retry may succeed."""
    if isinstance(error, ConnectionFailure):
        return True
    return isinstance(error, PyMongoError) and error.has_error_label("TransientTransactionError")


def patiently(
    body: Callable[[], T], *, wait_s: float = DEFAULT_WAIT_S, on_outage: Callable[[bool], None] | None = None
) -> T:
    """Call a function, repeatedly while the database is unavailable; return its result.

    Parameters
    ----------
    body
        May be called several times: after an error, it is unknown whether the database has completed the operation.
    wait_s
        Seconds from the first error after which the error is raised.
    on_outage
        Called with True at the first error, and with False when the database is back. By default, the log gets a line.

    Raises
    ------
    PyMongoError
        The last error, if the database remains unavailable.
    """
    tell = on_outage or _log
    since: float | None = None
    pause = _FIRST_PAUSE_S
    while True:
        try:
            result = body()
        except PyMongoError as error:
            if not is_outage(error):
                raise
            if since is None:
                since = time.monotonic()
                tell(True)
            left = wait_s - (time.monotonic() - since)
            if left <= 0:
                raise
            time.sleep(min(pause, left))
            pause = min(2 * pause, _LONGEST_PAUSE_S)
            continue
        if since is not None:
            tell(False)
        return result


def _log(away: bool) -> None:
    logger.warning("the database does not answer; waiting for it" if away else "the database answers again")
