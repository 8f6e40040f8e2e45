"""Find and read my_launchpad.yaml, the only description of the database, in FireWorks' format."""

import contextlib
import difflib
import io
import logging
import os
import shlex
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.constructor import DuplicateKeyError
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from launchers.database import mongo_uri
from launchers.database.errors import LaunchpadFileError

logger = logging.getLogger(__name__)

FILE_NAME = "my_launchpad.yaml"
PASSWORD_VARIABLE = "ESNET_CAMPAIGN_DB_PASSWORD"
#: The embedded database's only user, the database that stores it, and its default port and name.
EMBEDDED_USER = "esnet-embedded"
EMBEDDED_LOGIN_DATABASE = "admin"
EMBEDDED_PORT = 27117
EMBEDDED_NAME = "esnet_campaign"
#: Its data folder, next to the file.
EMBEDDED_FOLDER = "mongodb"

# Arguments of fireworks.core.launchpad.LaunchPad, with the type of each value.
FIELDS: dict[str, type] = {
    "host": str,
    "port": int,
    "name": str,
    "username": str,
    "password": str,
    "logdir": str,
    "strm_lvl": str,
    "user_indices": list,
    "wf_user_indices": list,
    "authsource": str,
    "uri_mode": bool,
    "mongoclient_kwargs": dict,
}
# TLS fields of FireWorks 1; FireWorks 2 only knows mongoclient_kwargs. Value: pymongo's name.
TLS_FIELDS: dict[str, tuple[type, str]] = {
    "ssl": (bool, "tls"),
    "ssl_ca_certs": (str, "tlsCAFile"),
    "ssl_ca_file": (str, "tlsCAFile"),
    "ssl_certfile": (str, "tlsCertificateKeyFile"),
    "ssl_keyfile": (str, "tlsCertificateKeyFile"),
    "ssl_pem_passphrase": (str, "tlsCertificateKeyFilePassword"),
}
PATH_OPTIONS = frozenset({"tlscafile", "tlscertificatekeyfile", "tlscrlfile"})
SECRET_FIELDS = frozenset({"password", "ssl_pem_passphrase", "mongoclient_kwargs", "host"})
_LARGEST_FILE = 64 << 10  # bytes
_WARNED: set[Path] = set()  # files already warned about in this process
TYPE_NAMES = {str: "text", int: "a whole number", bool: "true or false", list: "a list", dict: "a mapping"}


_EMBEDDED = """\
# Where the database is: the one description that `campaign`, `lpad`, `rlaunch` and `qlaunch` read.
# This one is MongoDB on this machine alone, which `campaign run` and `campaign db start` start. Its data lie in the
# folder mongodb/ beside this file, and the login below, which they write, is its owner's: keep this file to yourself.
# A server of your own instead: docs/how-to/database-server.md of esnet-campaign.
uri_mode: true
host: mongodb://127.0.0.1:{port}/{name}?replicaSet=rs0
name: {name}
"""


def find_launchpad_file(explicit: Path | None = None) -> Path:
    """Find the file that describes the database; return its absolute path.

    The order is that of FireWorks' own commands: the given file, ``my_launchpad.yaml`` in the current folder, then
    FireWorks' configuration (``FW_CONFIG_FILE``, ``LAUNCHPAD_LOC``, ``~/.fireworks``).

    Raises
    ------
    LaunchpadFileError
        If the given file does not exist, or none is found.
    """
    if explicit is not None:
        if not explicit.is_file():
            raise LaunchpadFileError(f"{explicit}: there is no such file; name an existing {FILE_NAME}")
        return explicit.absolute()
    here = Path.cwd() / FILE_NAME
    if here.is_file():
        return here
    # FireWorks prints while it looks for its files, which would spoil the output of our commands.
    with contextlib.redirect_stdout(io.StringIO()):
        from fireworks import fw_config
    configured = fw_config.LAUNCHPAD_LOC
    if configured and Path(configured).is_file():
        return Path(configured).absolute()
    raise LaunchpadFileError(
        f"no {FILE_NAME} in {Path.cwd()}, nor in FireWorks' configuration: "
        f"`campaign db start` writes one for an embedded database, or name yours with --launchpad"
    )


def write_embedded_launchpad_file(folder: Path, *, port: int = EMBEDDED_PORT) -> Path:
    """Write the ``my_launchpad.yaml`` of an embedded database on this machine; return its path.

    A link into a data folder that was removed (`launchers.database.launchpad_login`) is replaced.

    Raises
    ------
    LaunchpadFileError
        If something else of that name exists, or it cannot be written.
    """
    path = folder / FILE_NAME
    try:
        if path.is_symlink() and not path.exists() and os.readlink(path) == f"{EMBEDDED_FOLDER}/{FILE_NAME}":
            path.unlink()
        with path.open("x", encoding="utf-8") as file:
            file.write(_EMBEDDED.format(port=port, name=EMBEDDED_NAME))
    except FileExistsError:
        if path.is_file():
            found = "already exists"
        else:
            found = f"is a link to {os.readlink(path)}, which is not there" if path.is_symlink() else "is not a file"
        raise LaunchpadFileError(f"{path}: {found}; remove it, or name another file with --launchpad") from None
    except OSError as error:
        raise LaunchpadFileError(f"{path}: cannot be written: {error.strerror}") from None
    return path


def read_launchpad_file(path: Path) -> dict[str, Any]:
    """Read and check a launchpad file.

    Parameters
    ----------
    path
        A file for FireWorks' ``LaunchPad.from_file``. Relative paths of certificates refer to the file's folder.

    Returns
    -------
    The keyword arguments of ``LaunchPad``, without those that are absent or null. TLS fields of FireWorks 1 are
    converted to ``mongoclient_kwargs``; the environment variable ``ESNET_CAMPAIGN_DB_PASSWORD`` replaces the password.

    Raises
    ------
    LaunchpadFileError
        Names the file, the field, what was found (never a secret) and what would be right.
    """
    content = _load_yaml(path)
    fields: dict[str, Any] = {}
    for key, value in content.items():
        _check_field(path, key, value)
        if value is not None:
            fields[key] = value
    if fields.get("uri_mode"):
        # FireWorks ignores these in this mode, so two programs reading one file would log in differently.
        for key in ("port", "username", "password"):
            if key in fields:
                raise LaunchpadFileError(f"{path}: {key}: with uri_mode: true this belongs into host's URI")
    fields["mongoclient_kwargs"] = _connection_options(path, fields)
    for key in TLS_FIELDS:
        fields.pop(key, None)
    _warn_of_readers(path, fields)
    # the embedded database's password is generated, so a variable that is set is meant for another database
    user = fields.get("username") or fields["mongoclient_kwargs"].get("username")
    if os.environ.get(PASSWORD_VARIABLE) and user != EMBEDDED_USER:
        fields["password"] = os.environ[PASSWORD_VARIABLE]
    return fields


def _warn_of_readers(path: Path, fields: Mapping[str, Any]) -> None:
    """Warn, once per process, that others can read a file with a password."""
    secrets = [
        fields.get("password"),
        *(value for key, value in fields["mongoclient_kwargs"].items() if "password" in key.lower()),
    ]
    if fields.get("uri_mode"):
        secrets.append(mongo_uri.credentials(str(fields.get("host", "")))[1])
    mode = stat.S_IMODE(path.stat().st_mode)
    if any(secrets) and mode & (stat.S_IRGRP | stat.S_IROTH) and path not in _WARNED:
        _WARNED.add(path)
        logger.warning(
            "%s: holds a password, and others can read it (mode %04o): chmod 600 %s", path, mode, shlex.quote(str(path))
        )


def _load_yaml(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            start = file.read(_LARGEST_FILE + 1)
        if len(start) > _LARGEST_FILE:
            raise LaunchpadFileError(f"{path}: has more than {_LARGEST_FILE >> 10} KiB; should have a dozen lines")
        text = start.decode("utf-8")
    except OSError as error:
        raise LaunchpadFileError(f"{path}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise LaunchpadFileError(f"{path}: is not a text file in UTF-8") from None
    # The parser's messages quote the offending line, which may contain the password.
    try:
        content = YAML(typ="safe", pure=True).load(text)
    except MarkedYAMLError as error:
        mark = error.problem_mark
        where = f" at line {mark.line + 1}, column {mark.column + 1}" if mark is not None else ""
        what = "a key is given twice" if isinstance(error, DuplicateKeyError) else "not valid YAML"
        raise LaunchpadFileError(f"{path}: {what}{where}") from None
    except (YAMLError, ValueError, RecursionError):
        raise LaunchpadFileError(f"{path}: not valid YAML") from None
    if not isinstance(content, dict):
        raise LaunchpadFileError(f"{path}: should be a mapping with host, name and so on; it is not one")
    return content


def _check_field(path: Path, key: object, value: object) -> None:
    known = {**FIELDS, **{name: expected for name, (expected, _) in TLS_FIELDS.items()}}
    if key not in known:
        near = difflib.get_close_matches(str(key), known, n=1, cutoff=0.5)
        hint = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(FIELDS)}"
        raise LaunchpadFileError(f"{path}: unknown key {key!r}; {hint}")
    expected = known[str(key)]
    if value is None:
        return
    right_type = isinstance(value, expected) and (expected is not int or not isinstance(value, bool))
    if not right_type:
        found = type(value).__name__ if key in SECRET_FIELDS else repr(value)
        quotes = "; put it in quotes" if expected is str and isinstance(value, int | float) else ""
        raise LaunchpadFileError(f"{path}: {key}: found {found}, should be {TYPE_NAMES[expected]}{quotes}")
    if key == "port" and not 1 <= int(str(value)) <= 65535:
        raise LaunchpadFileError(f"{path}: port: found {value}, should be between 1 and 65535")


def _connection_options(path: Path, fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return mongoclient_kwargs with the TLS fields of FireWorks 1 merged and paths made absolute."""
    options = dict(fields.get("mongoclient_kwargs", {}))
    for key in options:
        if not isinstance(key, str):
            raise LaunchpadFileError(f"{path}: mongoclient_kwargs: found the key {key!r}, should be text")
    old = [key for key in TLS_FIELDS if key in fields]
    if old:
        logger.warning(
            "%s: FireWorks 2's own commands (lpad, rlaunch) do not read %s; write mongoclient_kwargs: {%s} instead",
            path,
            ", ".join(old),
            ", ".join(f"{TLS_FIELDS[key][1]}: ..." for key in old),
        )
    if fields.get("ssl_keyfile") and fields["ssl_keyfile"] != fields.get("ssl_certfile"):
        raise LaunchpadFileError(
            f"{path}: ssl_keyfile: MongoDB's driver reads certificate and key from one file: "
            "join the two PEM files and give the result as ssl_certfile"
        )
    for key in old:
        options.setdefault(TLS_FIELDS[key][1], fields[key])
    for key, value in options.items():
        if key.lower() in PATH_OPTIONS and isinstance(value, str):
            certificate = path.absolute().parent / Path(value).expanduser()
            if not certificate.is_file():
                raise LaunchpadFileError(f"{path}: {key}: there is no file {certificate}")
            options[key] = str(certificate)
    return options
