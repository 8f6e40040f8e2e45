"""Listening socket and server process."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

from esnet.files.errors import UserError, require

if TYPE_CHECKING:
    from starlette.applications import Starlette


class ServeError(UserError):
    """The live page cannot be served at the requested address."""


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens on an address.

    Raises
    ------
    ServeError
        If the address is not this machine's, or the port is taken.
    """
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        return socket.create_server(address[:2], family=family)
    except OSError as error:
        raise ServeError(
            f"cannot listen on {host} port {port} ({error.strerror or error}); choose another with --port, 0 for any "
            "that is free"
        ) from error


def run(app: Starlette, listener: socket.socket) -> None:
    """Serve until SIGINT or SIGTERM.

    Raises
    ------
    MissingExtraError
        If uvicorn is not installed.
    """
    uvicorn = require("uvicorn", extra="report")
    # no access log: the address that sets the cookie has the token in it
    config = uvicorn.Config(app, log_level="warning", access_log=False, server_header=False)
    uvicorn.Server(config).run(sockets=[listener])
