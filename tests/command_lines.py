"""The commands `campaign` and `esnet` as tests see them: every subcommand, and whether a line of a text calls one."""

import re
import shlex
from collections.abc import Iterator
from typing import Any

PROGRAMS = ("campaign", "esnet")


def commands() -> dict[str, Any]:
    """Every command and group of commands by its words, e.g. ``campaign db start``."""
    import typer

    from campaign.cli.app import app as campaign_app
    from esnet.cli.app import app as esnet_app

    apps = {"campaign": campaign_app, "esnet": esnet_app}
    return {words: found for name, app in apps.items() for words, found in _inside(typer.main.get_command(app), name)}


def _inside(command: Any, words: str) -> Iterator[tuple[str, Any]]:
    yield words, command
    for name, inner in getattr(command, "commands", {}).items():
        yield from _inside(inner, f"{words} {name}")


def problem_of(line: str, known: dict[str, Any]) -> str | None:
    """What is wrong with a command line that begins with `campaign` or `esnet`; None: it can be called like that.

    Looked at are, up to a pipe or a redirection, the subcommand, the options and how many values they take, and the
    number of arguments; not the values.
    """
    try:
        given = shlex.split(re.split(r"\s[>|]\s", line)[0], comments=True)
    except ValueError as error:
        return f"{line}: {error}"
    words, rest = given[0], given[1:]
    while rest and f"{words} {rest[0]}" in known:
        words, rest = f"{words} {rest[0]}", rest[1:]
    command = known[words]
    if "--help" in rest:
        return None
    options = {name: found for found in command.params for name in (*found.opts, *found.secondary_opts)}
    if hasattr(command, "commands"):
        if len(rest) == 1 and rest[0] in options:  # all of them print something and exit
            return None
        return f"{words}: no subcommand {rest[0]}" if rest else f"{words}: no subcommand"
    arguments = 0
    while rest:
        word, equals, _ = rest.pop(0).partition("=")
        if not word.startswith("-"):
            arguments += 1
        elif word not in options:
            return f"{words}: no option {word}"
        elif not getattr(options[word], "is_flag", False) and not equals:
            if len(rest) < options[word].nargs:
                return f"{words}: {word} without a value"
            del rest[: options[word].nargs]
    positional = [found for found in command.params if found.param_type_name == "argument"]
    least, most = sum(found.required for found in positional), len(positional)
    if any(found.nargs == -1 for found in positional):
        most = arguments
    if not least <= arguments <= most:
        return f"{words}: {arguments} arguments; right: {least} to {most}"
    return None
