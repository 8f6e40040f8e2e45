"""Check that the port for the embedded MongoDB is free, or find out who uses it."""

import os
import socket
import time
from pathlib import Path
from typing import Any

import psutil
from pymongo import MongoClient
from pymongo.errors import PyMongoError

from launchers.database.errors import MongoServerError

_LINGERING_S = 3.0
_MOST_TRIED = 100


def free_port_from(host: str, port: int) -> int:
    """Return the first port from `port` on that no process listens on; `port` itself if there is none nearby."""
    return next((each for each in range(port, port + _MOST_TRIED) if _why_taken(host, each) is None), port)


def require_free_port(host: str, port: int, *, source: Path | None) -> None:
    """Check that no process listens on a port of this machine.

    Parameters
    ----------
    source
        The my_launchpad.yaml that names the port, for the remedy.

    Raises
    ------
    MongoServerError
        If it is taken; names the port, the process if visible, and the remedy.
    """
    deadline = time.monotonic() + _LINGERING_S
    while (reason := _why_taken(host, port)) is not None:
        # the sockets of a killed mongod briefly outlive its process
        if time.monotonic() > deadline:
            raise MongoServerError(_who_has_port(host, port, reason, source))
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


def _who_has_port(host: str, port: int, reason: str, source: Path | None) -> str:
    """Return a description of the process listening on the database's port, and what to do."""
    free = free_port_from(host, port)
    remedy = f"replace {port} in {source or 'my_launchpad.yaml'} by a port that is free, e.g. {free}"
    limits: dict[str, Any] = {"serverSelectionTimeoutMS": 1000, "socketTimeoutMS": 1000}
    try:
        with MongoClient[dict[str, Any]](host, port, directConnection=True, **limits) as client:
            client.admin.command("hello")
    except PyMongoError:
        return f"port {port} of {host} is taken by another program ({reason}): {remedy}"
    process = _listener(port)
    where = _data_folder(process) or "an unknown folder"
    if process is not None and process.uids().real == os.getuid():
        remedy += f"; or stop that one, which is yours (process {process.pid}), with `campaign db stop` in its folder"
    return f"port {port} of {host} is taken by another MongoDB, with its data in {where}: {remedy}"


def _listener(port: int) -> psutil.Process | None:
    """Return the process that listens at a port, if it is accessible: another user's is not."""
    try:
        for connection in psutil.net_connections("tcp"):
            is_it = connection.laddr and connection.laddr.port == port and connection.status == psutil.CONN_LISTEN
            if is_it and connection.pid:
                return psutil.Process(connection.pid)
    except psutil.Error:
        pass
    return None


def _data_folder(process: psutil.Process | None) -> str | None:
    """Return the data folder of a mongod; None if it was started with a configuration file."""
    try:
        command = [] if process is None else process.cmdline()
        return command[command.index("--dbpath") + 1]
    except (psutil.Error, ValueError, IndexError):
        return None
