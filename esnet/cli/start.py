"""Start and end `campaign` and `esnet` cleanly under all conditions of the terminal.

Uses the standard library only, since nothing else is imported before it. Ctrl-C, a closed or full standard output, a
pipe without a reader and a removed working folder end a command with at most one line on standard error, and never with
a traceback.
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

TYPE_CHECKING = False  # as in typing, which takes time to import
if TYPE_CHECKING:
    from types import FrameType
    from typing import Any

#: Exit codes for SIGINT and SIGPIPE, as in shells (128 + number of the signal).
INTERRUPTED, PIPE_CLOSED = 130, 141
FAILED = 2
_STOPPED = "stopped by Ctrl-C"
#: ASCII replacements for bars, dashes and mathematical symbols, for terminals without UTF-8.
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
        Dotted name of the module. Ctrl-C during its import ends the process in the same way as later.
    """
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # it is ignored under nohup or `&` in a script
        signal.signal(signal.SIGINT, _end)
    _prepare_streams()
    try:
        importlib.import_module(module).run_program()
    finally:
        if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # for a second Ctrl-C while Python exits
            signal.signal(signal.SIGINT, _end)
        sys.stdout.flush()


@contextmanager
def running_command() -> Iterator[None]:
    """Run a command, once its code is imported: Ctrl-C now raises KeyboardInterrupt, so that it can clean up."""
    if signal.getsignal(signal.SIGINT) is _end:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    except KeyboardInterrupt:
        say(_STOPPED)
        raise SystemExit(INTERRUPTED) from None


def check_working_folder() -> None:
    """End the process if its working folder no longer exists, since every relative path would fail."""
    try:
        os.getcwd()
    except OSError:
        say("error: the working folder was removed or cannot be entered; change to another one (cd) and try again")
        raise SystemExit(FAILED) from None


def say(line: str) -> None:
    """Write a line to standard error, ignoring failures."""
    with suppress(OSError, ValueError):
        sys.stderr.write(f"{line}\n")
        sys.stderr.flush()


def _end(_number: int, _frame: FrameType | None) -> None:
    """Exit immediately, since nothing has started that needs cleaning up."""
    with suppress(OSError):
        os.write(2, f"{_STOPPED}\n".encode())
    os._exit(INTERRUPTED)


def _prepare_streams() -> None:
    codecs.register_error("terminal", _in_ascii)
    for number, name in ((0, "stdin"), (2, "stderr")):
        if getattr(sys, name) is None:  # closed by the caller; otherwise the next opened file would get its number
            setattr(sys, name, os.fdopen(os.open(os.devnull, os.O_RDWR), "r" if number == 0 else "w"))
    if sys.stdout is None:
        say("error: standard output is closed; right: one that can be written to, e.g. > /dev/null")
        raise SystemExit(FAILED)
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is getattr(sys, f"__{name}__"):
            setattr(sys, name, _reopened(stream))


def _reopened(stream: io.TextIOWrapper) -> io.TextIOWrapper:
    """Return the same stream, to which every character can be written and whose failing writes end the process."""
    raw = _Output(stream.fileno(), "wb", closefd=False)
    return io.TextIOWrapper(
        raw if isinstance(stream.buffer, io.RawIOBase) else io.BufferedWriter(raw),
        encoding=stream.encoding,
        errors="terminal",
        line_buffering=stream.line_buffering,
        write_through=stream.write_through,
    )


class _Output(io.FileIO):
    """Standard output or error that, once a write fails, discards all output and ends the process."""

    def write(self, data: Any) -> int:
        """Write bytes; only here can a failure of this stream be distinguished from one of a file or socket."""
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
    """Replace characters that a terminal cannot show by similar ones, or else by their number."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    text = error.object[error.start : error.end]
    shown = [_IN_ASCII.get(char) or char.encode("ascii", "backslashreplace").decode() for char in text]
    return "".join(shown), error.end
