"""Every subcommand of `campaign` and `esnet` with its help, as Markdown, from the typer apps themselves."""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum
from typing import Any, Literal, get_args, get_origin


def command_help() -> str:
    """Markdown of both programs: a heading and a table of arguments and options for every command."""
    import typer

    from campaign.cli.app import app as campaign_app
    from esnet.cli.app import app as esnet_app

    apps = {"campaign": campaign_app, "esnet": esnet_app}
    return "\n\n".join(part for name, app in apps.items() for part in _command(typer.main.get_command(app), name))


def _command(command: Any, words: str) -> Iterator[str]:
    said, _, example = (command.help or "").partition("Example:")
    parts = [f"{'##' if ' ' not in words else '###'} {words}", *_paragraphs(said)]
    if example:
        parts.append(f"```console\n$ {' '.join(example.split())}\n```")
    shown = [parameter for parameter in command.params if parameter.name != "help"]
    if shown:
        rows = [f"| {_name(one)} | {_meaning(one)} | {_default(one)} |" for one in shown]
        parts.append("| | meaning | default |\n| --- | --- | --- |\n" + "\n".join(rows))
    yield "\n\n".join(parts)
    for name, inner in getattr(command, "commands", {}).items():
        yield from _command(inner, f"{words} {name}")


def _paragraphs(text: str) -> list[str]:
    return [" ".join(paragraph.split()) for paragraph in text.strip().split("\n\n")]


def _name(parameter: Any) -> str:
    if parameter.param_type_name == "argument":
        return f"`{parameter.metavar or parameter.name.upper()}`"
    return ", ".join(f"`{name}`" for name in (*parameter.opts, *parameter.secondary_opts))


def _meaning(parameter: Any) -> str:
    choices = _choices(parameter.type_descriptor.annotation)
    listed = f" (one of {', '.join(choices)})" if choices else ""
    return f"{parameter.help or ''}{listed}".replace("|", "\\|").replace("*", "\\*")


def _choices(annotation: Any) -> list[str]:
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        return [member.value for member in annotation]
    return [str(choice) for choice in get_args(annotation)] if get_origin(annotation) is Literal else []


def _default(parameter: Any) -> str:
    if parameter.required:
        return "required"
    value = parameter.default
    if value is None or getattr(parameter, "is_flag", False):
        return ""  # said in the meaning, where there is one
    if isinstance(value, list | tuple):
        return f"`{' '.join(str(item) for item in value)}`"
    return f"`{getattr(value, 'value', value)}`"
