"""Access to the embedded MongoDB: only its owner, with a password derived from the key in its data folder.

The key is mongod's key file, which a replica set with passwords needs. A process that can read it may log in as the
server's internal user, so that the owner's login can be created at any time without opening the server to others.
"""

import hashlib
import hmac
import os
import secrets
import stat
from dataclasses import replace
from pathlib import Path
from typing import Any

from pymongo import MongoClient
from pymongo.errors import OperationFailure

from launchers.database.errors import MongoServerError
from launchers.database.launchpad_file import EMBEDDED_LOGIN_DATABASE, EMBEDDED_USER
from launchers.database.settings import DatabaseSettings

KEY_FILE = "keyfile"
_LIMITS: dict[str, Any] = {"serverSelectionTimeoutMS": 5000, "connectTimeoutMS": 2000, "socketTimeoutMS": 10000}


def make_key(data_dir: Path) -> Path:
    """Return the folder's key file, creating it if it is missing or others may have read it.

    Raises
    ------
    MongoServerError
        If it cannot be written.
    """
    path = data_dir / KEY_FILE
    try:
        if path.is_file() and stat.S_IMODE(path.stat().st_mode) & 0o077 == 0 and path.stat().st_size:
            return path
        path.unlink(missing_ok=True)
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(secrets.token_hex(32))
    except OSError as error:
        raise MongoServerError(f"{path}: the database's key cannot be written: {error.strerror}") from None
    return path


def owner_password(data_dir: Path) -> str | None:
    """Return the owner's password; None if the folder has no key, or one that we cannot read."""
    key = _key(data_dir)
    return None if key is None else hmac.new(key.encode(), EMBEDDED_USER.encode(), hashlib.sha256).hexdigest()


def with_login(settings: DatabaseSettings, data_dir: Path) -> DatabaseSettings:
    """Return the settings with the login of the folder's server; unchanged if it has no key."""
    password = owner_password(data_dir)
    if password is None:
        return settings
    if not settings.uri_mode:
        return replace(settings, username=EMBEDDED_USER, password=password, authsource=EMBEDDED_LOGIN_DATABASE)
    login = {"username": EMBEDDED_USER, "password": password, "authSource": EMBEDDED_LOGIN_DATABASE}
    return replace(settings, mongoclient_kwargs={**settings.mongoclient_kwargs, **login})


def internal_login(data_dir: Path) -> dict[str, Any]:
    """Return the driver's options to log in as the server's internal user, who has all rights."""
    key = _key(data_dir)
    if key is None:
        return {}
    return {"username": "__system", "password": key, "authSource": "local", "authMechanism": "SCRAM-SHA-256"}


def ensure_owner(host: str, port: int, data_dir: Path) -> None:
    """Make sure that a writable server accepts the owner's login."""
    password = owner_password(data_dir)
    login: dict[str, Any] = {"username": EMBEDDED_USER, "password": password, "authSource": EMBEDDED_LOGIN_DATABASE}
    try:
        with MongoClient[dict[str, Any]](host, port, directConnection=True, **login, **_LIMITS) as client:
            client.admin.command("ping")
            return
    except OperationFailure:
        pass  # a new folder, one without a password until now, or one with a changed key
    with MongoClient[dict[str, Any]](
        host, port, directConnection=True, **internal_login(data_dir), **_LIMITS
    ) as client:
        users = client[EMBEDDED_LOGIN_DATABASE]
        known = users.command("usersInfo", EMBEDDED_USER)["users"]
        users.command("updateUser" if known else "createUser", EMBEDDED_USER, pwd=password, roles=["root"])


def _key(data_dir: Path) -> str | None:
    try:
        return (data_dir / KEY_FILE).read_text(encoding="utf-8").strip() or None
    except OSError:
        return None
