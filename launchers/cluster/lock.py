"""An expiring lock in the database, so that only one process at a time fills a queue, wherever it runs."""

import os
import socket
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from typing import Any

from pymongo.database import Database
from pymongo.errors import DuplicateKeyError, PyMongoError

COLLECTION = "launcher_locks"
#: Longer than any submission, slow sbatch included; the lock is renewed before each.
_LIFE_S = 300
_LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)


class Lock:
    """A lock that this process holds until it releases it or does not renew it for five minutes."""

    def __init__(self, database: Database[dict[str, Any]], name: str) -> None:
        self._collection = database[COLLECTION]
        self._name = name
        self._owner = uuid.uuid4().hex

    def renew(self) -> bool:
        """Take the lock, or keep it for another five minutes; return False if another process holds it."""
        mine = {"$eq": ["$owner", self._owner]}
        # by the database's clock, since those of two login nodes may differ
        free = {"$lt": [{"$ifNull": ["$expires", _LONG_AGO]}, "$$NOW"]}
        take = {"$or": [mine, free]}
        holder = f"{socket.gethostname()} {os.getpid()}"
        fields = {
            "owner": {"$cond": [take, self._owner, "$owner"]},
            "holder": {"$cond": [take, {"$literal": holder}, "$holder"]},
            "expires": {"$cond": [take, {"$add": ["$$NOW", 1000 * _LIFE_S]}, "$expires"]},
        }
        self._collection.update_one({"_id": self._name}, [{"$set": fields}], upsert=True)
        return self._collection.find_one({"_id": self._name, "owner": self._owner}, ["_id"]) is not None

    def holder(self) -> str:
        """Return host and process id of its holder."""
        found = self._collection.find_one({"_id": self._name}) or {}
        return str(found.get("holder", "nobody"))

    def release(self) -> None:
        """Release the lock."""
        self._collection.delete_one({"_id": self._name, "owner": self._owner})


@contextmanager
def locked(database: Database[dict[str, Any]], name: str) -> Iterator[tuple[Lock, bool]]:
    """Hold a lock during a ``with`` block.

    Yields
    ------
    The lock, and whether it was free.
    """
    lock = Lock(database, name)
    try:
        taken = lock.renew()
    except DuplicateKeyError:  # created by another process at the same moment
        taken = lock.renew()
    try:
        yield lock, taken
    finally:
        if taken:
            # if the database is unavailable, the lock expires
            with suppress(PyMongoError):
                lock.release()
