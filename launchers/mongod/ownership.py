"""Whether a launchpad file refers to its project's embedded database or another one on this machine."""

from pathlib import Path

from launchers.database.errors import MongoServerError
from launchers.database.launchpad_file import EMBEDDED_NAME, EMBEDDED_USER
from launchers.database.settings import DatabaseSettings, is_loopback
from launchers.mongod.access import owner_password
from launchers.mongod.log import LOG_NAME, last_port

_MONGODB_PORT = 27017


def has_data(folder: Path) -> bool:
    """Return whether a folder contains the data of a mongod."""
    return (folder / "WiredTiger").is_file()


def own_address(settings: DatabaseSettings) -> tuple[str, int]:
    """Return the address that an embedded server of these settings listens on.

    Raises
    ------
    MongoServerError
        If they describe a server that must not be started by this program.
    """
    seeds = settings.seeds
    host, port = seeds[0]
    if len(seeds) > 1 or port is None or not is_loopback(host):
        raise MongoServerError(
            f"the database at {settings.address} is not ours to start: the embedded MongoDB listens on this "
            "machine only (host 127.0.0.1 in my_launchpad.yaml); another one needs no `campaign db start`"
        )
    if settings.user not in (None, EMBEDDED_USER):
        raise MongoServerError(
            f"my_launchpad.yaml gives a user ({settings.user!r}) for {settings.address}, and the embedded "
            "MongoDB makes its own: take user and password out, or start that database yourself"
        )
    if settings.options.get("tls") or settings.options.get("ssl"):
        raise MongoServerError(
            f"my_launchpad.yaml asks for TLS at {settings.address}, and the embedded MongoDB has none: "
            "take it out, or start that database yourself"
        )
    return ("127.0.0.1" if host == "localhost" else host), port


def is_own(settings: DatabaseSettings, data_dir: Path) -> bool:
    """Return whether the settings refer to the embedded server of a folder, so that it may be started automatically.

    A loopback address may also be the end of a tunnel to a remote server. It counts as the folder's own if login or
    port match the data in the folder. Without data, it must have the project's default database name and a replica set,
    but no login: through a tunnel the driver could not reach the members of a set. MongoDB's default port is left to a
    server of the user.
    """
    try:
        _, port = own_address(settings)
    except MongoServerError:
        return False
    if not has_data(data_dir):
        is_set = settings.replica_set is not None and not settings.options.get("directConnection")
        return is_set and settings.user is None and settings.name == EMBEDDED_NAME and port != _MONGODB_PORT
    known = settings.user is not None and settings.login().get("password") == owner_password(data_dir)
    return known or last_port(data_dir / LOG_NAME) in (None, port)
