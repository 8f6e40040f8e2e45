"""Commands and groups of commands whose help is asked for with ``-h`` too, and names no type where none is typed."""

from collections.abc import Callable
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup


def _without_bool(found: list[Any]) -> list[Any]:
    """Return parameters with nothing in place of typer's ``<bool>`` for flags, which take no value."""
    for parameter in found:
        if getattr(parameter, "is_flag", False) and parameter.metavar is None:
            parameter.metavar = ""
    return found


class _Command(TyperCommand):
    def get_params(self, ctx: Any) -> list[Any]:
        """Return the parameters, the option for help included."""
        return _without_bool(super().get_params(ctx))


class _Group(TyperGroup):
    def get_params(self, ctx: Any) -> list[Any]:
        """Return the parameters, the option for help included."""
        return _without_bool(super().get_params(ctx))


class Program(typer.Typer):
    """A program or a group of its commands."""

    def __init__(self, *, help: str, name: str | None = None) -> None:
        super().__init__(
            name=name,
            help=help,
            cls=_Group,
            context_settings={"help_option_names": ["--help", "-h"]},
            no_args_is_help=True,
            pretty_exceptions_enable=False,
        )

    def command(self, name: str | None = None, **settings: Any) -> Callable[[Any], Any]:
        """Declare a command, as `typer.Typer.command` does."""
        return super().command(name, cls=_Command, **settings)
