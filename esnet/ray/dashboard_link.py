"""A link that opens Ray's dashboard without typing, printing or logging its token.

The dashboard accepts the token in an ``Authorization`` header, or in a cookie that its own dialog sets (Ray 2.60). A
link can contain neither, and a token in its address would remain in log files and browser histories while Ray runs. The
link therefore leads to a page of this process on loopback, whose address contains a secret word. The first browser to
request it receives the cookie and is redirected; the word is invalid from then on.
"""

import http.client
import logging
import os
import secrets
import threading
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import urlsplit

import psutil

from esnet.ray.session import LOOPBACK

logger = logging.getLogger(__name__)

#: Name of the cookie that Ray's dashboard reads (`ray._private.authentication.authentication_constants`).
COOKIE = "ray-authentication-token"
_ANSWER_S = 10.0
#: Path of data that the dashboard only provides with its token.
_ASKED = "/nodes?view=summary"


class _QuietServer(ThreadingHTTPServer):
    def handle_error(self, request: Any, client_address: Any) -> None:
        """Print no traceback, since a browser that hangs up is not an error of this program."""
        logger.debug("the link of Ray's dashboard, asked by %s", client_address, exc_info=True)


class DashboardLink:
    """Context manager that serves a link that works once.

    Parameters
    ----------
    dashboard
        Address of the dashboard. It must be on loopback, since a cookie is sent to every port of its host and to no
        other host.
    token
        Token that the dashboard requires.

    Raises
    ------
    ValueError
        If the dashboard is on another host.
    """

    def __init__(self, dashboard: str, token: str) -> None:
        if urlsplit(dashboard).hostname != LOOPBACK:
            raise ValueError(f"the dashboard at {dashboard} is not at {LOOPBACK}")
        self.used = threading.Event()
        self._word = secrets.token_urlsafe(32)
        self._server = _QuietServer((LOOPBACK, 0), self._handler(dashboard, token))
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, name="dashboard-link", daemon=True)

    @property
    def address(self) -> str:
        """Address to open in a browser on this machine."""
        return f"http://{LOOPBACK}:{self._server.server_port}/{self._word}"

    def _handler(self, dashboard: str, token: str) -> type[BaseHTTPRequestHandler]:
        word, used, first = self._word, self.used, threading.Lock()

        class Handler(BaseHTTPRequestHandler):
            timeout = _ANSWER_S

            def do_GET(self) -> None:
                given = self.path.partition("?")[0].removeprefix("/")
                if not secrets.compare_digest(given.encode(), word.encode()):
                    self._answer(404, "There is nothing here.")
                elif not first.acquire(blocking=False):
                    self._answer(410, "This link has already been used. `campaign dashboard NAME` creates another one.")
                else:
                    # a session cookie, deleted when the browser is closed, as the token is void once Ray ends
                    cookie = f"{COOKIE}={token}; Path=/; HttpOnly; SameSite=Strict"
                    try:
                        self._answer(303, "", **{"Set-Cookie": cookie, "Location": dashboard})
                    except OSError:
                        first.release()  # the browser did not receive it, and may ask again
                        raise
                    used.set()

            def _answer(self, code: int, text: str, **headers: str) -> None:
                body = f"{text}\n".encode()
                self.send_response(code)
                more = {"Cache-Control": "no-store", "Referrer-Policy": "no-referrer", "Content-Type": "text/plain"}
                for name, value in {**more, **headers, "Content-Length": str(len(body))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Log nothing, since the request contains the secret address of the link."""

        return Handler

    def __enter__(self) -> Self:
        """Start serving the link."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


def answers(dashboard: str, token: str) -> bool:
    """Return whether a dashboard of this user answers at a loopback address and accepts the token.

    After a run, a program of another user may listen there; the token is not sent to it.
    """
    try:
        parts = urlsplit(dashboard)
        if parts.hostname != LOOPBACK or not parts.port or not _is_mine(parts.port):
            return False
        connection = http.client.HTTPConnection(LOOPBACK, parts.port, timeout=_ANSWER_S)
        with closing(connection):
            connection.request("GET", _ASKED, headers={"Authorization": f"Bearer {token}"})
            return connection.getresponse().status == http.HTTPStatus.OK
    except (OSError, ValueError, http.client.HTTPException):
        return False


def _is_mine(port: int) -> bool:
    """Return whether only processes of this user listen at a loopback port."""
    listening = [
        found.pid
        for found in psutil.net_connections(kind="tcp")
        if found.status == psutil.CONN_LISTEN
        and found.laddr
        and found.laddr.port == port
        and found.laddr.ip.removeprefix("::ffff:") in (LOOPBACK, "0.0.0.0", "::")
    ]
    return bool(listening) and all(map(_is_of_this_user, listening))


def _is_of_this_user(pid: int | None) -> bool:
    if pid is None:  # not visible to this user
        return False
    try:
        return psutil.Process(pid).uids().real == os.getuid()
    except psutil.Error:
        return False
