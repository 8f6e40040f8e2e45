"""Parts shared by all commands: console, error messages, and the option ``--version``."""

import errno
import logging
import os
import shlex
import shutil
import signal
import sys
import unicodedata
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from rich.console import Console, ConsoleOptions, RenderableType
from rich.file_proxy import FileProxy
from rich.segment import Segment
from rich.text import Text

import esnet

#: Unicode categories that move the cursor, or reverse or end lines: controls, formats, separators.
_UNSAFE = {"Cc", "Cf", "Zl", "Zp"}


def printable(text: str) -> str:
    """Return text that is safe for a terminal, without escape sequences and other control characters.

    Newlines and tabs are kept. All output of commands is filtered, since names, errors and contents of files come from
    a database to which other users can write.
    """
    if text.isprintable():
        return text
    return "".join(char for char in text if char in "\n\t" or unicodedata.category(char) not in _UNSAFE)


class _SafeConsole(Console):
    """Console that prints square brackets and colons literally and drops control characters."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Render an object, and drop the control characters in it."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else Segment(printable(segment.text), segment.style)


def console(*, stderr: bool = False) -> Console:
    """Return a console that prints text literally and does not limit the line width in files and pipes.

    Text is coloured with ``style=`` or `rich.text.Text`, never with markup.
    """
    stream = sys.stderr if stderr else sys.stdout
    if stream.isatty():
        return _SafeConsole(stderr=stderr, markup=False, emoji=False)
    # with FORCE_COLOR, Rich would not only use colours but treat a file as a terminal and redraw lines in it
    colours: Literal["auto", "standard"] = "standard" if os.environ.get("FORCE_COLOR") else "auto"
    return _SafeConsole(stderr=stderr, width=160, markup=False, emoji=False, force_terminal=False, color_system=colours)


def print_dated(out: Console, line: str) -> None:
    """Print a line with date and time, for output that is read later, such as a job's log."""
    print_plain(out, f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC  {line}")


def draws_on(out: Console) -> bool:
    """Return whether a console can redraw lines, i.e. is a terminal with a movable cursor (TERM is not ``dumb``)."""
    return out.is_terminal and out.is_interactive


class LogsAbove:
    """Redirection of log lines and prints to above the redrawn part of a terminal.

    `rich.live.Live` replaces ``sys.stdout`` and ``sys.stderr``, but log handlers created earlier hold the original
    streams.
    """

    def __init__(self) -> None:
        self._moved: list[tuple[logging.StreamHandler[Any], Any]] = []

    def begin(self) -> None:
        """Send log lines to the current standard output and error; to be called after the display has started."""
        now = {id(new.rich_proxied_file): new for new in (sys.stdout, sys.stderr) if isinstance(new, FileProxy)}
        for logger in (logging.root, *logging.root.manager.loggerDict.values()):
            for handler in getattr(logger, "handlers", []):
                if isinstance(handler, logging.StreamHandler) and id(handler.stream) in now:
                    self._moved.append((handler, handler.stream))
                    handler.setStream(now[id(handler.stream)])

    def end(self) -> None:
        """Restore the previous streams of log lines."""
        while self._moved:
            handler, stream = self._moved.pop()
            handler.setStream(stream)


def print_plain(out: Console, *lines: str) -> None:
    """Print lines literally, without colours or wrapping."""
    for line in lines:
        out.print(line, highlight=False, soft_wrap=True)


def typed_program(name: str) -> str:
    """Return how a shell here starts this program: by its name if it finds that one, else as it was called."""
    called, found = sys.argv[0], shutil.which(name)
    if Path(called).name != name or not Path(called).exists():
        return name
    return name if found is not None and Path(found).samefile(called) else shlex.quote(called)


def print_labelled(out: Console, label: str, text: str, *, style: str = "yellow", indent: str = "") -> None:
    """Print a line that begins with a coloured word, e.g. ``note: ...``."""
    out.print(Text.assemble(indent, (label, style), f" {text}"), highlight=False, soft_wrap=True)


def print_error(message: str) -> None:
    """Print an error that a user can fix on standard error."""
    print_labelled(console(stderr=True), "error:", message, style="red")


_UNUSABLE = {getattr(errno, name) for name in ("EACCES", "EPERM", "EROFS", "ENOTDIR", "EEXIST", "ENOSPC", "EDQUOT")}


class _SafeFormatter(logging.Formatter):
    """Formatter for log lines without a handler: warnings on standard error, as Python prints them."""

    def format(self, record: logging.LogRecord) -> str:
        """Format a record as `print_plain` would print it."""
        return printable(super().format(record))


def _unusable_path(error: Exception) -> str | None:
    """Return a message if a path cannot be used or the disk is full; None for other errors."""
    # a missing file is as often the program's mistake as the user's, so its traceback is needed
    if not isinstance(error, OSError) or error.filename is None or error.errno not in _UNUSABLE:
        return None
    return f"{error.filename}: {error.strerror}; right: a place where you may write, with room on its disk"


def run_app(app: typer.Typer, message_for_user: Callable[[BaseException], str | None]) -> None:
    """Run a program; errors that a user can fix are shown as one message, without a traceback.

    Parameters
    ----------
    app
        The program.
    message_for_user
        Function that returns the message for an error, or None for an error that a user cannot fix.
    """
    if logging.lastResort is not None:
        logging.lastResort.setFormatter(_SafeFormatter())
    try:
        app()
    except Exception as error:
        message = message_for_user(error) or _unusable_path(error)
        if message is None:
            raise
        print_error(message)
        sys.exit(2)
    finally:
        _leave_signals_to_the_system()


def _leave_signals_to_the_system() -> None:
    """Let a second signal end a terminating program, since its handler would raise an exception with a traceback."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if callable(signal.getsignal(number)):  # ignored signals stay ignored (nohup)
            signal.signal(number, signal.SIG_DFL)


def _print_version(requested: bool) -> None:
    if requested:
        sys.stdout.write(f"esnet-campaign {esnet.__version__}\n")
        raise typer.Exit


def global_options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit")
    ] = False,
) -> None:
    """Options that precede a subcommand."""
