"""What all commands share: the console, error messages, and the option `--version`."""

import errno
import logging
import os
import signal
import sys
import unicodedata
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

import typer
from rich.console import Console, ConsoleOptions, RenderableType
from rich.file_proxy import FileProxy
from rich.segment import Segment
from rich.text import Text

import esnet

#: Categories of Unicode that move the cursor, turn lines around or end them: controls, formats, separators.
_UNSAFE = {"Cc", "Cf", "Zl", "Zp"}


def printable(text: str) -> str:
    """Return text as a terminal may have it: without escape sequences and whatever else would be obeyed, not shown.

    Line ends and tabs stay. Everything that a command prints goes through it: names, errors and contents of files come
    from a database to which other users write.
    """
    if text.isprintable():
        return text
    return "".join(char for char in text if char in "\n\t" or unicodedata.category(char) not in _UNSAFE)


class _SafeConsole(Console):
    """A console on which square brackets and colons are those characters, and control characters are not sent."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Render anything: text, tables, and what is inside them."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else Segment(printable(segment.text), segment.style)


def console(*, stderr: bool = False) -> Console:
    """Return a console that shows text as it is; a file or a pipe has no width, so nothing is cut off there.

    Text has colours by ``style=`` or as `rich.text.Text`, never by markup.
    """
    stream = sys.stderr if stderr else sys.stdout
    if stream.isatty():
        return _SafeConsole(stderr=stderr, markup=False, emoji=False)
    # FORCE_COLOR asks for colours; Rich would take the file for a terminal then, and redraw lines in it
    colours: Literal["auto", "standard"] = "standard" if os.environ.get("FORCE_COLOR") else "auto"
    return _SafeConsole(stderr=stderr, width=160, markup=False, emoji=False, force_terminal=False, color_system=colours)


def print_dated(out: Console, line: str) -> None:
    """Print a line with its date and time, for output that is read later: a file, the log of a job."""
    print_plain(out, f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC  {line}")


def draws_on(out: Console) -> bool:
    """Whether lines can be redrawn there: a terminal that moves its cursor (TERM is not ``dumb``)."""
    return out.is_terminal and out.is_interactive


class LogsAbove:
    """Lets log lines, and whatever is printed, come above a part of the terminal that is redrawn.

    `rich.live.Live` takes ``sys.stdout`` and ``sys.stderr``; handlers of logs that were made before it hold the streams
    themselves.
    """

    def __init__(self) -> None:
        self._moved: list[tuple[logging.StreamHandler[Any], Any]] = []

    def begin(self) -> None:
        """Send log lines to the current standard output and error; to be called when the display has started."""
        now = {id(new.rich_proxied_file): new for new in (sys.stdout, sys.stderr) if isinstance(new, FileProxy)}
        for logger in (logging.root, *logging.root.manager.loggerDict.values()):
            for handler in getattr(logger, "handlers", []):
                if isinstance(handler, logging.StreamHandler) and id(handler.stream) in now:
                    self._moved.append((handler, handler.stream))
                    handler.setStream(now[id(handler.stream)])

    def end(self) -> None:
        """Send log lines where they went before."""
        while self._moved:
            handler, stream = self._moved.pop()
            handler.setStream(stream)


def print_plain(out: Console, *lines: str) -> None:
    """Print lines as they are: no colours, no wrapping."""
    for line in lines:
        out.print(line, highlight=False, soft_wrap=True)


def print_labelled(out: Console, label: str, text: str, *, style: str = "yellow", indent: str = "") -> None:
    """Print a line that begins with a coloured word, e.g. ``note: ...``."""
    out.print(Text.assemble(indent, (label, style), f" {text}"), highlight=False, soft_wrap=True)


def print_error(message: str) -> None:
    """Print an error that a user can fix, on standard error."""
    print_labelled(console(stderr=True), "error:", message, style="red")


_UNUSABLE = {getattr(errno, name) for name in ("EACCES", "EPERM", "EROFS", "ENOTDIR", "EEXIST", "ENOSPC", "EDQUOT")}


class _SafeFormatter(logging.Formatter):
    """Log lines that no handler takes, as Python shows them: warnings, on standard error."""

    def format(self, record: logging.LogRecord) -> str:
        """Format a record as `print_plain` would print it."""
        return printable(super().format(record))


def _unusable_path(error: Exception) -> str | None:
    """Say that a file or a folder cannot be used, or that there is no room; None for any other error."""
    # a file that is missing is the program's mistake as often as the user's: its traceback is needed
    if not isinstance(error, OSError) or error.filename is None or error.errno not in _UNUSABLE:
        return None
    return f"{error.filename}: {error.strerror}; right: a place where you may write, with room on its disk"


def run_app(app: typer.Typer, message_for_user: Callable[[BaseException], str | None]) -> None:
    """Run a program; errors that a user can fix are shown as one message, without a traceback.

    Parameters
    ----------
    message_for_user
        Says what to print of an error; None for an error that a user cannot fix.
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
    """Let a second signal end a program that is ending already: an exception of its handler would be a traceback."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if callable(signal.getsignal(number)):  # not one that is to be ignored (nohup)
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
    """Accept the options that come before a subcommand."""
