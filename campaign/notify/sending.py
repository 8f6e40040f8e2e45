"""Pass messages to a command or a webhook in a separate thread; a failure never stops a campaign."""

import base64
import http.client
import json
import os
import queue
import signal
import subprocess
import tempfile
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

#: Seconds before a retry of a message that certainly did not arrive.
_PAUSES_S = (5.0, 30.0, 120.0)
#: Status codes that guarantee that nothing was done and a retry may succeed.
_LATER = {429, 502, 503, 504}
#: Variables that no user program needs.
_SECRET = ("RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH")
_LONGEST = 200
_READ = 4096  # bytes from the end of a command's output
#: Time that the end of a run waits for messages, unless a single one may take longer.
_AT_END_S = 60.0


class NotSentError(RuntimeError):
    """A message did not arrive; ``later`` states whether a retry is useful and cannot send it twice."""

    def __init__(self, reason: str, *, later: bool = False) -> None:
        super().__init__(reason)
        self.later = later


def send(settings: NotifySettings, message: Message) -> None:
    """Send a message to the destinations in the settings.

    Raises
    ------
    NotSentError
        With a reason that contains only the host of the webhook's address.
    """
    problems = []
    for way in (_run if settings.command is not None else None, _post if settings.webhook is not None else None):
        try:
            if way is not None:
                way(settings, message)
        except NotSentError as error:
            problems.append(error)
    if problems:
        # if the other destination accepted it, a retry would send it twice
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
    # a file, not a pipe: processes left by the command may keep it open, and are not waited for
    with tempfile.TemporaryFile() as errors:
        try:
            process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=errors,
                env=variables,
                start_new_session=True,  # so that it can be stopped with all its children
            )
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else type(error).__name__
            raise NotSentError(f"{printable(command[0])} cannot be started: {reason}") from None
        try:
            process.communicate(f"{message.text}\n".encode(errors="replace"), timeout=settings.timeout_s)
        except subprocess.TimeoutExpired:
            with suppress(OSError):  # it has ended meanwhile, or is another user's
                os.killpg(process.pid, signal.SIGKILL)
            with suppress(subprocess.TimeoutExpired):
                process.wait(1.0)
            raise NotSentError(f"{command[0]} did not finish within {settings.timeout_s:g} s") from None
        if process.returncode:
            errors.seek(max(errors.seek(0, os.SEEK_END) - _READ, 0))
            last = (errors.read(_READ).decode(errors="replace").strip().splitlines() or [""])[-1]
            reason = f": {printable(last)[:_LONGEST]}" if last else ""
            raise NotSentError(f"{command[0]} ended with code {process.returncode}{reason}")


class _Stay(urllib.request.HTTPRedirectHandler):
    """Follow no redirect, since the message is only for the host in the settings."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        """Return nothing, which makes the response an error."""


def _post(settings: NotifySettings, message: Message) -> None:
    parts = urlsplit(settings.webhook or "")
    headers = {"Content-Type": "application/json", "User-Agent": "esnet-campaign"}
    if parts.username is not None:
        login = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        headers["Authorization"] = f"Basic {base64.b64encode(login.encode()).decode()}"
    address = urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path or "/", parts.query, ""))
    request = urllib.request.Request(address, json.dumps(message.for_webhook()).encode(), headers, method="POST")
    # no proxy for this machine, whatever the environment says
    handlers: list[Any] = [_Stay(), *([urllib.request.ProxyHandler({})] if settings.is_here else [])]
    host = settings.host
    try:
        with urllib.request.build_opener(*handlers).open(request, timeout=settings.timeout_s):
            return
    except urllib.error.HTTPError as error:
        code = error.code
        error.close()
    except urllib.error.URLError as error:
        # without a connection nothing arrived, but after a timeout the host may just be slow
        refused = isinstance(error.reason, ConnectionRefusedError)
        raise NotSentError(f"{host} does not answer ({type(error.reason).__name__})", later=refused) from None
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise NotSentError(f"{host} does not answer as a webhook does ({type(error).__name__})") from None
    redirect = " (a redirect, which is not followed)" if 300 <= code < 400 else ""
    raise NotSentError(f"{host} answered {code}{redirect}", later=code in _LATER)


class Sender:
    """Sends messages in order while the campaign continues.

    Parameters
    ----------
    on_problem
        Called from another thread, once, with a sentence when a message does not arrive.
    """

    def __init__(self, settings: NotifySettings, on_problem: Callable[[str], None]) -> None:
        self._settings = settings
        self._on_problem = on_problem
        self._messages: queue.Queue[Message | None] = queue.Queue()
        self._closing = threading.Event()
        self._said = False
        self._thread: threading.Thread | None = None

    def put(self, message: Message) -> None:
        """Queue a message; returns immediately."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="notify", daemon=True)
            self._thread.start()
        self._messages.put(message)

    def close(self, *, wait_s: float | None = None, all_of_them: bool = False) -> None:
        """Wait for messages being sent or queued, as long as command and host may take for each.

        Parameters
        ----------
        wait_s
            Waiting time instead, in s.
        all_of_them
            Whether to wait for all of them; otherwise a minute, or as long as one may take.
        """
        if self._thread is None:
            return
        self._closing.set()
        if wait_s is None:
            one_s = 2 * self._settings.timeout_s + 1.0
            wait_s = one_s * (self._messages.qsize() + 1)  # the one being sent is not in the queue
            wait_s = wait_s if all_of_them else min(wait_s, max(_AT_END_S, one_s))
        self._messages.put(None)
        self._thread.join(wait_s)
        if self._thread.is_alive():
            self._report("this command ended first")
        self._thread = None

    def _work(self) -> None:
        while (message := self._messages.get()) is not None:
            self._send(message)

    def _send(self, message: Message) -> None:
        for pause_s in (*_PAUSES_S, None):
            try:
                send(self._settings, message)
                return
            except NotSentError as error:
                self._report(str(error))
                if pause_s is None or not error.later or self._closing.wait(pause_s):
                    return
            except Exception as error:  # noqa: BLE001 later messages are still sent
                self._report(type(error).__name__)
                return

    def _report(self, reason: str) -> None:
        if not self._said:
            self._said = True
            self._on_problem(f"a notification was not sent: {reason}; the campaign continues. `campaign notify --test`")
