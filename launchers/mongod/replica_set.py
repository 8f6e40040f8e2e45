"""Make one mongod the primary of a single-node replica set."""

import time
from collections.abc import Callable, Mapping
from typing import Any

from pymongo import MongoClient
from pymongo.errors import PyMongoError

from launchers.database.errors import MongoServerError

POLL_S = 0.05


def make_primary(
    host: str, port: int, replica_set: str, *, login: Mapping[str, Any], deadline: float, is_alive: Callable[[], bool]
) -> None:
    """Initiate or repair the replica set, and wait until the server accepts writes.

    If the server listened on another port before, its replica set's configuration contains that port and it would wait
    forever to be a member; the configuration is then changed by force.

    Parameters
    ----------
    login
        The driver's options to log in as a user who may change the configuration.
    deadline
        Latest time, on the clock of ``time.monotonic``.

    Raises
    ------
    MongoServerError
        If the process ended, the time is up, or the folder belongs to a replica set of another name.
    """
    limits: dict[str, Any] = {"serverSelectionTimeoutMS": 500, "connectTimeoutMS": 2000, "socketTimeoutMS": 5000}
    with MongoClient[dict[str, Any]](host, port, directConnection=True, **limits, **login) as client:
        while True:
            try:
                if client.admin.command("hello").get("isWritablePrimary"):
                    return
                _join_own_set(client, f"[{host}]:{port}" if ":" in host else f"{host}:{port}", replica_set)
            except PyMongoError:
                pass  # not up yet, or busy with its configuration; checked next for being alive
            if not is_alive():
                raise MongoServerError(f"MongoDB at {host}:{port} ended while it started")
            if time.monotonic() > deadline:
                raise MongoServerError(f"MongoDB at {host}:{port} did not accept writes in time; see its log")
            time.sleep(POLL_S)


def _join_own_set(client: MongoClient[dict[str, Any]], member: str, replica_set: str) -> None:
    """Initiate the replica set, or update the server's address in it."""
    configuration = client.local["system.replset"].find_one()
    if configuration is None:
        members = [{"_id": 0, "host": member}]
        client.admin.command("replSetInitiate", {"_id": replica_set, "members": members})
        return
    if configuration["_id"] != replica_set:
        raise MongoServerError(
            f"the data of MongoDB at {member} belongs to the replica set {configuration['_id']!r}, and "
            f"my_launchpad.yaml asks for {replica_set!r}: write replicaSet={configuration['_id']} there"
        )
    if configuration["members"][0]["host"] != member:
        configuration["members"] = [{**configuration["members"][0], "host": member}]
        configuration["version"] += 1
        client.admin.command("replSetReconfig", configuration, force=True)
