"""Parsing of MongoDB URIs, with user and password kept separate from everything else."""

from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, unquote_plus

from pymongo.errors import PyMongoError
from pymongo.uri_parser import parse_uri

DEFAULT_PORT = 27017
SCHEMES = ("mongodb://", "mongodb+srv://")
SRV_SCHEME = "mongodb+srv://"


@dataclass(frozen=True)
class ParsedUri:
    """The parts of a URI without credentials.

    Attributes
    ----------
    nodes
        Host and port of every server; the port is None for a Unix socket.
    options
        Options after the question mark.
    """

    nodes: list[tuple[str, int | None]]
    options: dict[str, Any]


def parse(uri: str) -> ParsedUri:
    """Parse a URI; for ``mongodb+srv``, only the parts known without a name server.

    Raises
    ------
    ValueError
        If it is not a MongoDB URI. The message does not quote it.
    """
    if uri.startswith(SRV_SCHEME):
        return ParsedUri([(hosts_text(uri), None)], {})

    # The driver's messages may quote the part of the URI with the password.
    try:
        parsed = parse_uri(uri, DEFAULT_PORT, validate=False)
    except (PyMongoError, ValueError):
        raise ValueError(
            "is not a MongoDB URI; it should look like mongodb://user:password@host:port/database?replicaSet=rs0, "
            "special characters in user and password percent-encoded"
        ) from None
    return ParsedUri([(str(host), port) for host, port in parsed["nodelist"]], dict(parsed["options"]))


def given_options(uri: str) -> list[tuple[str, str]]:
    """Return the options after the question mark, including unknown ones and those of a ``mongodb+srv`` URI."""
    _, _, query = uri.partition("?")
    return parse_qsl(query.replace(";", "&"), keep_blank_values=True)


def without_credentials(uri: str) -> str:
    """Return the URI without user and password."""
    scheme, _, rest = _split(uri)
    return scheme + rest


def credentials(uri: str) -> tuple[str | None, str | None]:
    """Return user and password, None if absent."""
    user, colon, password = _split(uri)[1].partition(":")
    return (unquote_plus(user) or None, unquote_plus(password) if colon else None)


def hosts_text(uri: str) -> str:
    """Return the part that names the hosts."""
    return _split(uri)[2].split("/")[0].split("?")[0]


def _split(uri: str) -> tuple[str, str, str]:
    """Split into scheme, user:password and the rest."""
    scheme, _, rest = uri.partition("://")
    cut = min((rest.find(mark) for mark in "/?" if mark in rest), default=len(rest))
    userinfo, _, hosts = rest[:cut].rpartition("@")
    return f"{scheme}://", userinfo, hosts + rest[cut:]
