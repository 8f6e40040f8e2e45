"""Hands messages to a command or a webhook, in a thread of its own: whatever becomes of one, a campaign continues."""

import base64
import http.client
import json
import os
import queue
import signal
import subprocess
import threading
import urllib.error
import urllib.request
from collections.abc import Callable
from contextlib import suppress
from typing import Any
from urllib.parse import unquote, urlsplit, urlunsplit

from campaign.notify.message import Message
from campaign.notify.settings import NotifySettings
from esnet.commands.console import printable

#: Seconds before another try of what cannot have arrived.
_PAUSES_S = (5.0, 30.0, 120.0)
#: Answers after which another try may succeed, and which say that nothing was done.
_LATER = {429, 502, 503, 504}
#: Variables that no program of a user needs.
_SECRET = ("RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH")
_LONGEST = 200


class NotSentError(RuntimeError):
    """A message did not arrive; ``later`` says whether another try is worth while and cannot send it twice."""

    def __init__(self, reason: str, *, later: bool = False) -> None:
        super().__init__(reason)
        self.later = later


def send(settings: NotifySettings, message: Message) -> None:
    """Send a message wherever the settings say.

    Raises
    ------
    NotSentError
        With a reason that holds nothing of the webhook's address but its host.
    """
    problems = []
    for way in (_run if settings.command is not None else None, _post if settings.webhook is not None else None):
        try:
            if way is not None:
                way(settings, message)
        except NotSentError as error:
            problems.append(error)
    if problems:
        # where the other way took it, another try would send it twice
        alone = len(problems) == (settings.command is not None) + (settings.webhook is not None)
        raise NotSentError(
            "; ".join(map(str, problems)), later=alone and all(each.later for each in problems)
        ) from None


def _run(settings: NotifySettings, message: Message) -> None:
    command = settings.command or []
    fields = {"EVENT": message.event, "CAMPAIGN": message.campaign, "TEXT": message.text}
    variables = {name: value for name, value in os.environ.items() if name not in _SECRET}
    variables |= {f"ESNET_{name}": value for name, value in fields.items()}
    variables["ESNET_JSON"] = json.dumps(message.to_dict())
    try:
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            env=variables,
            start_new_session=True,  # so that it is ended with all that it has started
        )
    except OSError as error:
        raise NotSentError(f"{command[0]} cannot be started: {error.strerror}") from None
    try:
        _, said = process.communicate(f"{message.text}\n".encode(), timeout=settings.timeout_s)
    except subprocess.TimeoutExpired:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        raise NotSentError(f"{command[0]} did not end within {settings.timeout_s:g} s") from None
    if process.returncode:
        last = (said.decode(errors="replace").strip().splitlines() or [""])[-1]
        reason = f": {printable(last)[:_LONGEST]}" if last else ""
        raise NotSentError(f"{command[0]} ended with code {process.returncode}{reason}")


class _Stay(urllib.request.HTTPRedirectHandler):
    """Follow no redirect: the message is for the host that the user wrote."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        """Return nothing, so that the answer is an error."""


def _post(settings: NotifySettings, message: Message) -> None:
    parts = urlsplit(settings.webhook or "")
    headers = {"Content-Type": "application/json", "User-Agent": "esnet-campaign"}
    if parts.username is not None:
        login = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        headers["Authorization"] = f"Basic {base64.b64encode(login.encode()).decode()}"
    address = urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path or "/", parts.query, ""))
    request = urllib.request.Request(address, json.dumps(message.to_dict()).encode(), headers, method="POST")
    # on this machine no proxy is asked, whatever the environment says
    handlers: list[Any] = [_Stay(), *([urllib.request.ProxyHandler({})] if settings.is_here else [])]
    host = settings.host
    try:
        with urllib.request.build_opener(*handlers).open(request, timeout=settings.timeout_s):
            return
    except urllib.error.HTTPError as error:
        code = error.code
        error.close()
    except urllib.error.URLError as error:
        # the connection was not made, so nothing arrived; but a timeout may be that of a host that reads slowly
        refused = isinstance(error.reason, ConnectionRefusedError)
        raise NotSentError(f"{host} does not answer ({type(error.reason).__name__})", later=refused) from None
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise NotSentError(f"{host} does not answer as a webhook does ({type(error).__name__})") from None
    redirect = " (a redirect, which is not followed)" if 300 <= code < 400 else ""
    raise NotSentError(f"{host} answered {code}{redirect}", later=code in _LATER)


class Sender:
    """Sends one message after the other, in their order, while the campaign continues.

    Parameters
    ----------
    on_problem
        Told in a sentence, from another thread, that a message did not arrive; once, however many do not.
    """

    def __init__(self, settings: NotifySettings, on_problem: Callable[[str], None]) -> None:
        self._settings = settings
        self._on_problem = on_problem
        self._messages: queue.Queue[Message | None] = queue.Queue()
        self._closing = threading.Event()
        self._said = False
        self._thread: threading.Thread | None = None

    def put(self, message: Message) -> None:
        """Send a message soon; returns immediately."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="notify", daemon=True)
            self._thread.start()
        self._messages.put(message)

    def close(self, *, wait_s: float | None = None) -> None:
        """Wait for what is being sent; default: as long as the command and the host may take together, and a second."""
        if self._thread is None:
            return
        self._closing.set()
        self._messages.put(None)
        self._thread.join(2 * self._settings.timeout_s + 1.0 if wait_s is None else wait_s)
        self._thread = None

    def _work(self) -> None:
        while (message := self._messages.get()) is not None:
            for pause_s in (*_PAUSES_S, None):
                try:
                    send(self._settings, message)
                    break
                except NotSentError as error:
                    self._report(str(error))
                    if pause_s is None or not error.later or self._closing.wait(pause_s):
                        break

    def _report(self, reason: str) -> None:
        if not self._said:
            self._said = True
            self._on_problem(f"a notification was not sent: {reason}; the campaign continues. `campaign notify --test`")
