"""The settings of the database, and all objects made from them.

LaunchPad, MongoDB client, campaign collections and jobflow's JobStore are all made from a
:class:`DatabaseSettings`, which is read from ``my_launchpad.yaml``.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote_plus

from fireworks import LaunchPad
from pymongo import MongoClient
from pymongo.database import Database
from pymongo.errors import ConfigurationError, InvalidURI

from launchers.database import mongo_uri
from launchers.database.errors import (
    DatabaseError,
    DatabaseNotReplicaSet,
    DatabaseUnreachable,
    LaunchpadFileError,
    MongoServerError,
)
from launchers.database.launchpad_file import PASSWORD_VARIABLE, find_launchpad_file, read_launchpad_file

__all__ = [
    "PASSWORD_VARIABLE",
    "DatabaseError",
    "DatabaseNotReplicaSet",
    "DatabaseSettings",
    "DatabaseUnreachable",
    "LaunchpadFileError",
    "MongoServerError",
    "find_launchpad_file",
]


@dataclass(frozen=True, repr=False)
class DatabaseSettings:
    """Address and login of MongoDB, with FireWorks' field names.

    The password appears in no ``repr``, ``str`` or message of this class.

    Attributes
    ----------
    host
        Host name or, with ``uri_mode``, a MongoDB URI (which may carry user and password).
    name
        Name of the database.
    port
        TCP port; None with ``uri_mode``.
    username, password, authsource
        Credentials, and the database that stores them (default: ``name``). With ``uri_mode`` they are in the URI; a
        password here (from the environment) replaces the URI's.
    uri_mode
        Whether ``host`` is a URI.
    mongoclient_kwargs
        Further options of ``pymongo.MongoClient``, including TLS.
    logdir, strm_lvl, user_indices, wf_user_indices
        Passed to FireWorks' LaunchPad.
    source
        File of the settings, for messages.
    """

    host: str
    name: str
    port: int | None = None
    username: str | None = None
    password: str | None = None
    authsource: str | None = None
    uri_mode: bool = False
    mongoclient_kwargs: Mapping[str, Any] = field(default_factory=dict, hash=False)
    logdir: str | None = field(default=None, compare=False)
    strm_lvl: str | None = field(default=None, compare=False)
    user_indices: Sequence[str] = ()
    wf_user_indices: Sequence[str] = ()
    source: Path | None = field(default=None, compare=False)

    def __post_init__(self) -> None:
        """Refuse impossible settings before any connection attempt."""
        bad = set('/\\. "$\0') & set(self.name)
        if not self.name or bad or len(self.name.encode()) > 63:
            raise self._wrong("name", self.name, "a database name: letters, digits, - and _, at most 63 characters")
        if self.uri_mode:
            try:
                mongo_uri.parse(self.host)
            except ValueError as error:
                raise LaunchpadFileError(f"{self._origin}: host: {error}") from None
        elif self.host.startswith(mongo_uri.SCHEMES):
            raise self._wrong("uri_mode", self.uri_mode, "true, since host is a MongoDB URI")
        given = [("host", *pair) for pair in mongo_uri.given_options(self.host)] if self.uri_mode else []
        for place, key, value in [*given, *(("mongoclient_kwargs", *pair) for pair in self.mongoclient_kwargs.items())]:
            if right := _right_option(key, value):
                raise self._wrong(f"{place}: {key}", value, right)

    def __repr__(self) -> str:
        """Return address, database and user, but never the password."""
        return f"DatabaseSettings(address={self.address!r}, name={self.name!r}, username={self.user!r})"

    @classmethod
    def from_file(cls, path: Path) -> DatabaseSettings:
        """Read ``my_launchpad.yaml``.

        The environment variable ``ESNET_CAMPAIGN_DB_PASSWORD``, if set, replaces the file's password. (FireWorks' own
        commands do not use it, and need the password in the file.)

        Raises
        ------
        LaunchpadFileError
            Names the file, the field, what was found and what would be right.
        """
        fields = read_launchpad_file(path)
        uri_mode = fields.get("uri_mode", False)
        if uri_mode:
            for key in ("host", "name"):
                if key not in fields:
                    raise LaunchpadFileError(f"{path}: {key}: is missing, and uri_mode: true needs it")
            if not fields["host"].startswith(mongo_uri.SCHEMES):
                raise LaunchpadFileError(
                    f"{path}: host: with uri_mode: true it should start with {' or '.join(mongo_uri.SCHEMES)}"
                )
            fields.pop("authsource", None)
        else:
            fields.setdefault("host", "localhost")
            fields.setdefault("port", mongo_uri.DEFAULT_PORT)
            fields.setdefault("name", "fireworks")
            if "username" not in fields:
                fields.pop("password", None)
        for key in ("user_indices", "wf_user_indices"):
            fields[key] = tuple(fields.get(key, ()))
        return cls(**fields, source=path)

    @classmethod
    def from_launchpad(cls, launchpad: LaunchPad) -> DatabaseSettings:
        """Return the settings of a LaunchPad, for Firetasks that are passed one."""
        return cls(
            host=launchpad.host,
            name=launchpad.name,
            port=None if launchpad.uri_mode else launchpad.port,
            username=None if launchpad.uri_mode else launchpad.username,
            password=None if launchpad.uri_mode else launchpad.password,
            authsource=None if launchpad.uri_mode else launchpad.authsource,
            uri_mode=launchpad.uri_mode,
            mongoclient_kwargs=dict(launchpad.mongoclient_kwargs),
            logdir=launchpad.logdir,
            strm_lvl=launchpad.strm_lvl,
            user_indices=tuple(launchpad.user_indices),
            wf_user_indices=tuple(launchpad.wf_user_indices),
        )

    # ---- descriptions of the settings, without credentials

    @property
    def seeds(self) -> list[tuple[str, int | None]]:
        """Host and port of every named server; the port is None for ``mongodb+srv`` and for sockets."""
        if not self.uri_mode:
            return [(self.host, self.port or mongo_uri.DEFAULT_PORT)]
        if self.host.startswith("mongodb+srv://"):
            return [(mongo_uri.hosts_text(self.host), None)]
        return mongo_uri.parse(self.host).nodes

    @property
    def address(self) -> str:
        """Address as ``host:port`` (several with commas), without credentials."""
        return ",".join(
            host if port is None else f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
            for host, port in self.seeds
        )

    @property
    def user(self) -> str | None:
        """User that logs in, from the field, the URI, or the options."""
        if self.username or not self.uri_mode:
            return self.username
        beside = self.mongoclient_kwargs.get("username")
        return mongo_uri.credentials(self.host)[0] if beside is None else str(beside)

    @property
    def options(self) -> dict[str, Any]:
        """Driver options from the URI and ``mongoclient_kwargs``, with lower-case names."""
        options = mongo_uri.parse(self.host).options if self.uri_mode else {}
        return {key.lower(): value for source in (options, self.mongoclient_kwargs) for key, value in source.items()}

    @property
    def replica_set(self) -> str | None:
        """Name of the replica set, if given in the settings."""
        found = self.options.get("replicaset")
        return None if found is None else str(found)

    @property
    def is_local(self) -> bool:
        """Whether every named server is on a loopback address of this machine."""
        return all(is_loopback(host) for host, _ in self.seeds)

    # ---- objects built from them

    def launchpad(self, *, strm_lvl: str | None = None, kind: type[LaunchPad] = LaunchPad) -> LaunchPad:
        """Return FireWorks' LaunchPad on this database; ``strm_lvl`` replaces the log level in the file."""
        options = dict(self.mongoclient_kwargs)
        if self.uri_mode and self.password is not None and self.user is not None:
            options |= {"username": self.user, "password": self.password}
        return kind(
            host=self.host,
            port=self.port,
            name=self.name,
            username=None if self.uri_mode else self.username,
            password=None if self.uri_mode else self.password,
            logdir=self.logdir,
            strm_lvl=strm_lvl or self.strm_lvl,
            user_indices=list(self.user_indices),
            wf_user_indices=list(self.wf_user_indices),
            authsource=None if self.uri_mode else self.authsource,
            uri_mode=self.uri_mode,
            mongoclient_kwargs=options,
        )

    def client(self, **options: Any) -> MongoClient[dict[str, Any]]:
        """Return a new client of this database's server; it connects when first used.

        The options override the settings' own. Times are returned aware, in UTC.
        """
        target = mongo_uri.without_credentials(self.host) if self.uri_mode else self.host
        arguments = {
            "tz_aware": True,
            "appname": "esnet-campaign",
            **self.mongoclient_kwargs,
            **self.login(),
            **options,
        }
        if not self.uri_mode:
            arguments["port"] = self.port
        try:
            return MongoClient(target, **arguments)
        except (ConfigurationError, InvalidURI, ValueError, TypeError, OSError) as error:
            raise LaunchpadFileError(f"{self._origin}: the driver refuses them: {self.redacted(error)}") from None

    def database(self) -> Database[dict[str, Any]]:
        """Return the database, with a new client."""
        return self.client()[self.name]

    @property
    def _origin(self) -> str:
        return str(self.source or "the database settings")

    def login(self) -> dict[str, Any]:
        """Return the driver's options for user and password, empty without a user."""
        if not self.user:
            return {}
        if self.uri_mode:
            beside = self.mongoclient_kwargs.get("password", mongo_uri.credentials(self.host)[1])
            password = self.password if self.password is not None else beside
            login: dict[str, Any] = {"username": self.user}
        else:
            password = self.password
            login = {"username": self.username, "authSource": self.authsource or self.name}
        return login if password is None else {**login, "password": password}

    def redacted(self, text: object) -> str:
        """Return the text with all secrets of these settings masked."""
        secrets = [self.password, mongo_uri.credentials(self.host)[1] if self.uri_mode else None]
        secrets += [str(value) for key, value in self.mongoclient_kwargs.items() if "password" in key.lower()]
        redacted = str(text)
        for secret in secrets:
            if secret:
                redacted = redacted.replace(secret, "***").replace(quote_plus(secret), "***")
        return redacted

    def _wrong(self, name: str, found: object, right: str) -> LaunchpadFileError:
        return LaunchpadFileError(f"{self._origin}: {name}: found {found!r}, should be {right}")


def _right_option(key: str, value: object) -> str | None:
    """Return the required value of a driver option that rules out transactions, or None if it is fine."""
    text = str(value).strip().lower()
    wrong, right = {
        "readpreference": (text != "primary", "primary"),
        "read_preference": (text != "primary", "primary"),
        "w": (value is False or not text.strip("0+-"), "majority, or a number of members above 0"),
        "readconcernlevel": (text not in ("local", "majority"), "local or majority"),
    }.get(key.lower(), (False, ""))
    return f"{right} (or left out): the campaign's moves are transactions, which need it" if wrong else None


def is_loopback(host: str) -> bool:
    """Return whether a host name, IP address or socket path is on this machine."""
    if host == "localhost" or host.endswith(".sock"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
