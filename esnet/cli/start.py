"""How `campaign` and `esnet` start and end, whatever the terminal does. Standard library only: nothing runs before it.

Ctrl-C, a standard output that is closed or full, a pipe whose reader has gone and a working folder that was removed end
a command with one line on standard error at most, and never with a traceback.
"""

from __future__ import annotations

import codecs
import errno
import importlib
import io
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress

TYPE_CHECKING = False  # typing's own, without the time that importing it takes
if TYPE_CHECKING:
    from types import FrameType
    from typing import Any

#: Exit codes, as shells have them for signals (128 + number): SIGINT and SIGPIPE.
INTERRUPTED, PIPE_CLOSED = 130, 141
FAILED = 2
_STOPPED = "stopped by Ctrl-C"
#: What terminals that know no UTF-8 show instead: bars, dashes, the marks of numbers.
_IN_ASCII = {
    **{chr(code): "-" for code in (*range(0x2010, 0x2016), 0x2212)},
    **{chr(code): "-" for code in range(0x2500, 0x2580)},
    **{chr(code): "#" for code in range(0x2580, 0x25A0)},
    **{chr(code): "*" for code in (*range(0x2800, 0x2900), 0x2022)},
    **{"…": ".", "·": ".", "≤": "<=", "≥": ">=", "±": "+/-", "×": "x", "²": "2"},
}


def start(module: str) -> None:
    """Import the module of a program and call its ``run_program()``.

    Parameters
    ----------
    module
        Its dotted name. Ctrl-C while it is imported ends the process as it does later.
    """
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # nohup and `&` in a script ignore it
        signal.signal(signal.SIGINT, _end)
    _prepare_streams()
    try:
        importlib.import_module(module).run_program()
    finally:
        if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # a second Ctrl-C, while Python ends
            signal.signal(signal.SIGINT, _end)
        sys.stdout.flush()


@contextmanager
def running_command() -> Iterator[None]:
    """Run a command, whose code is imported by now: Ctrl-C raises KeyboardInterrupt in it, so that it can tidy up."""
    if signal.getsignal(signal.SIGINT) is _end:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    except KeyboardInterrupt:
        say(_STOPPED)
        raise SystemExit(INTERRUPTED) from None


def check_working_folder() -> None:
    """End the process where its working folder no longer exists: every relative path would fail, each in its way."""
    try:
        os.getcwd()
    except OSError:
        say("error: the working folder was removed or cannot be entered; change to another one (cd) and try again")
        raise SystemExit(FAILED) from None


def say(line: str) -> None:
    """Write a line on standard error, wherever that is redirected."""
    with suppress(OSError, ValueError):
        sys.stderr.write(f"{line}\n")
        sys.stderr.flush()


def _end(_number: int, _frame: FrameType | None) -> None:
    """Exit immediately: nothing has started that would need cleaning up."""
    with suppress(OSError):
        os.write(2, f"{_STOPPED}\n".encode())
    os._exit(INTERRUPTED)


def _prepare_streams() -> None:
    codecs.register_error("terminal", _in_ascii)
    for number, name in ((0, "stdin"), (2, "stderr")):
        if getattr(sys, name) is None:  # closed by the caller: else the next file opened would take its number
            setattr(sys, name, os.fdopen(os.open(os.devnull, os.O_RDWR), "r" if number == 0 else "w"))
    if sys.stdout is None:
        say("error: standard output is closed; right: one that can be written to, e.g. > /dev/null")
        raise SystemExit(FAILED)
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is getattr(sys, f"__{name}__"):
            setattr(sys, name, _reopened(stream))


def _reopened(stream: io.TextIOWrapper) -> io.TextIOWrapper:
    """The same stream, on which every character can be written and a failing write ends the process."""
    raw = _Output(stream.fileno(), "wb", closefd=False)
    return io.TextIOWrapper(
        raw if isinstance(stream.buffer, io.RawIOBase) else io.BufferedWriter(raw),
        encoding=stream.encoding,
        errors="terminal",
        line_buffering=stream.line_buffering,
        write_through=stream.write_through,
    )


class _Output(io.FileIO):
    """Standard output or error: output that cannot be written is discarded from then on, and the process ends."""

    def write(self, data: Any) -> int:
        """Write bytes; only here is it known that it is this stream that fails, and not a file or a socket."""
        try:
            return super().write(data)
        except OSError as error:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self.fileno())
            os.close(nowhere)
            if self.fileno() == 2:
                return len(data)
            if error.errno == errno.EPIPE:
                raise SystemExit(PIPE_CLOSED) from None
            say(f"error: cannot write to standard output: {error.strerror}")
            raise SystemExit(FAILED) from None


def _in_ascii(error: UnicodeError) -> tuple[str, int]:
    """Handle characters that a terminal cannot show: by one that looks alike, else by their number."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    text = error.object[error.start : error.end]
    shown = [_IN_ASCII.get(char) or char.encode("ascii", "backslashreplace").decode() for char in text]
    return "".join(shown), error.end
