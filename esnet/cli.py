"""The command `esnet`. Thin: every command is a module of `esnet.commands`."""

from __future__ import annotations

import importlib
import importlib.util
import sys

import typer

app = typer.Typer(
    name="esnet",
    help="Formation energies from densities of states: data sets, training, tuning, evaluation.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

for _name in ("dataset", "train", "describe", "tune", "evaluate", "benchmark", "similarity", "fetch_mp"):
    if importlib.util.find_spec(f"esnet.commands.{_name}") is None:
        continue
    _module = importlib.import_module(f"esnet.commands.{_name}")
    if hasattr(_module, "app"):
        app.add_typer(_module.app, name=_name)
    else:
        app.command(_name.replace("_", "-"))(_module.command)


def main() -> None:
    """Entry point: errors that a user can mend are one message, not a traceback."""
    from esnet.errors import UserError

    try:
        app()
    except (UserError, FileExistsError, FileNotFoundError) as error:
        from rich.console import Console
        from rich.markup import escape

        Console(stderr=True).print(f"[red]error:[/red] {escape(str(error))}", highlight=False, soft_wrap=True)
        sys.exit(2)
