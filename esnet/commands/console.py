"""What the commands print on."""

from __future__ import annotations

import sys

from rich.console import Console
from rich.markup import escape


def console(*, stderr: bool = False) -> Console:
    """Return a console; a file or a pipe has no width, so nothing is cut off there."""
    stream = sys.stderr if stderr else sys.stdout
    return Console(stderr=stderr) if stream.isatty() else Console(stderr=stderr, width=160)


def print_error(message: str) -> None:
    """Say what a user can mend, on standard error."""
    Console(stderr=True).print(f"[red]error:[/red] {escape(message)}", highlight=False, soft_wrap=True)
