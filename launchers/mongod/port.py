"""Check that the port for the embedded MongoDB is free, or find out who uses it."""

import socket
import time
from typing import Any

import psutil
from pymongo import MongoClient
from pymongo.errors import PyMongoError

from launchers.database.errors import MongoServerError

_LINGERING_S = 3.0


def require_free_port(host: str, port: int) -> None:
    """Check that no process listens on a port of this machine.

    Raises
    ------
    MongoServerError
        If it is taken; names the port, the process if visible, and the remedy.
    """
    deadline = time.monotonic() + _LINGERING_S
    while (reason := _why_taken(host, port)) is not None:
        # the sockets of a killed mongod briefly outlive its process
        if time.monotonic() > deadline:
            raise MongoServerError(_who_has_port(host, port, reason))
        time.sleep(0.1)


def _why_taken(host: str, port: int) -> str | None:
    """Return why a port cannot be listened on, or None."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host, port))
        except PermissionError:
            raise MongoServerError(f"port {port} may not be used by this user; take one above 1023") from None
        except OSError as error:
            return str(error.strerror)
    return None


def _who_has_port(host: str, port: int, reason: str) -> str:
    """Return a description of the process listening on the database's port."""
    remedy = "stop that, or give another port in my_launchpad.yaml"
    limits: dict[str, Any] = {"serverSelectionTimeoutMS": 1000, "socketTimeoutMS": 1000}
    try:
        with MongoClient[dict[str, Any]](host, port, directConnection=True, **limits) as client:
            client.admin.command("hello")
    except PyMongoError:
        return f"port {port} of {host} is taken by another program ({reason}): {remedy}"
    where = _data_folder(port) or "an unknown folder"
    return f"port {port} of {host} is taken by another MongoDB, with its data in {where}: {remedy}"


def _data_folder(port: int) -> str | None:
    """Return the data folder of the mongod at a port, if its process is accessible."""
    try:
        for connection in psutil.net_connections("tcp"):
            is_it = connection.laddr and connection.laddr.port == port and connection.status == psutil.CONN_LISTEN
            if is_it and connection.pid:
                command = psutil.Process(connection.pid).cmdline()
                return command[command.index("--dbpath") + 1]
    except (psutil.Error, ValueError, IndexError):
        pass  # another user's, or started with a configuration file
    return None
