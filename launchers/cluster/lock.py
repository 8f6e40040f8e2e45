"""A lock in the database that expires: only one process at a time fills a queue, wherever it runs."""

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
#: Longer than one submission takes, a slow sbatch included; the lock is renewed before each.
_LIFE_S = 300
_LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)


class Lock:
    """A lock that this process holds until it ends or goes unrenewed for five minutes."""

    def __init__(self, database: Database[dict[str, Any]], name: str) -> None:
        self._collection = database[COLLECTION]
        self._name = name
        self._owner = uuid.uuid4().hex

    def renew(self) -> bool:
        """Take the lock or keep it for another five minutes; False if another process has it."""
        mine = {"$eq": ["$owner", self._owner]}
        # the database's clock decides: those of two login nodes may differ
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
        """Host and process id of its holder."""
        found = self._collection.find_one({"_id": self._name}) or {}
        return str(found.get("holder", "nobody"))

    def release(self) -> None:
        """Let go of it."""
        self._collection.delete_one({"_id": self._name, "owner": self._owner})


@contextmanager
def locked(database: Database[dict[str, Any]], name: str) -> Iterator[tuple[Lock, bool]]:
    """Hold a lock for the length of a ``with`` block.

    Yields
    ------
    The lock, and whether it was free.
    """
    lock = Lock(database, name)
    try:
        taken = lock.renew()
    except DuplicateKeyError:  # two that made its document at the same moment
        taken = lock.renew()
    try:
        yield lock, taken
    finally:
        if taken:
            # if the database is unavailable, the lock expires
            with suppress(PyMongoError):
                lock.release()
