"""Access control: GET only, on loopback only under its own host names, and with the token if one is set."""

from __future__ import annotations

import hmac
import ipaddress
import re
from http.cookies import CookieError, SimpleCookie
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, quote, urlencode

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

TOKEN_COOKIE = "esnet_campaign_token"
_HEADERS = [
    (b"cache-control", b"no-store"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
]


def is_loopback(host: str) -> bool:
    """Return whether an address to listen on can be reached only from this machine."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class ReadOnlyAccess:
    """ASGI middleware in front of the pages.

    Parameters
    ----------
    app
        Application that answers permitted requests.
    token
        Required in a cookie, in ``Authorization: Bearer``, or once as ``?token=`` (which sets the cookie); None for no
        token.
    """

    def __init__(self, app: ASGIApp, *, token: str | None) -> None:
        self.app = app
        self._token = token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Reject a request, or pass it to the application."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        if scope["type"] != "http" or scope["method"] != "GET":
            await _refuse(send, 405, "this page is read-only: use GET", [(b"allow", b"GET")])
            return
        query = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
        given = dict(query).get("token")
        if given is not None and self._is_token(given):
            await _refuse(send, 303, "", _without_token(scope, query, given))
            return
        if self._token is not None and not any(map(self._is_token, _credentials(scope))):
            await _refuse(send, 401, "open the address with ?token=... that `campaign serve` has printed", [])
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", []), *_HEADERS]
            await send(message)

        await self.app(scope, receive, send_with_headers)

    def _is_token(self, given: str) -> bool:
        # in constant time, so that the response time does not reveal the matching part of the token
        return self._token is not None and hmac.compare_digest(given.encode(), self._token.encode())


def _credentials(scope: Scope) -> list[str]:
    found = []
    for name, value in scope["headers"]:
        text = value.decode("latin-1")
        if name == b"authorization" and text.startswith("Bearer "):
            found.append(text.removeprefix("Bearer "))
        elif name == b"cookie":
            try:
                cookies: SimpleCookie = SimpleCookie(text)
            except CookieError:
                continue
            if (cookie := _cookie_name(scope)) in cookies:
                found.append(cookies[cookie].value)
    return found


def _cookie_name(scope: Scope) -> str:
    """Return the name of the cookie, with the browser's port, since browsers share cookies between ports."""
    host = next((value.decode("latin-1") for name, value in scope["headers"] if name == b"host"), "")
    port = re.search(r":(\d{1,5})$", host, re.ASCII)
    return f"{TOKEN_COOKIE}_{port[1] if port else (scope.get('server') or ('', 80))[1]}"


def _without_token(scope: Scope, query: list[tuple[str, str]], token: str) -> list[tuple[bytes, bytes]]:
    """Return headers that set the token as a cookie and redirect to the address without it, for the browser's
    history.
    """
    rest = urlencode([(key, value) for key, value in query if key != "token"])
    # one slash: "//host" would lead to another server
    path = "/" + quote(scope["path"].lstrip("/\\"))
    cookie = f"{_cookie_name(scope)}={token}; Path=/; HttpOnly; SameSite=Lax"
    return [
        (b"location", (path + (f"?{rest}" if rest else "")).encode("ascii")),
        (b"set-cookie", cookie.encode("latin-1")),
    ]


async def _refuse(send: Send, status: int, text: str, headers: list[tuple[bytes, bytes]]) -> None:
    body = text.encode()
    common = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": [*common, *headers, *_HEADERS]})
    await send({"type": "http.response.body", "body": body})
