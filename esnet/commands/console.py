"""What all commands share: the console, error messages, and the option `--version`."""

import sys
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

import esnet


def console(*, stderr: bool = False) -> Console:
    """Return a console; a file or a pipe has no width, so nothing is cut off there."""
    stream = sys.stderr if stderr else sys.stdout
    return Console(stderr=stderr) if stream.isatty() else Console(stderr=stderr, width=160)


def print_plain(out: Console, *lines: str) -> None:
    """Print lines as they are: no markup, no colours, no wrapping."""
    for line in lines:
        out.print(line, markup=False, highlight=False, soft_wrap=True)


def print_error(message: str) -> None:
    """Say what a user can mend, on standard error."""
    Console(stderr=True).print(f"[red]error:[/red] {escape(message)}", highlight=False, soft_wrap=True)


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
