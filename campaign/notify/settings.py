"""Recipient and method of notifications: a file of the user, independent of campaigns."""

import ipaddress
import os
import shlex
import stat
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from pydantic import Field, ValidationError, field_validator, model_validator
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from campaign.config.strict_model import StrictModel
from campaign.config.yaml_file import LARGEST_FILE, load_yaml
from esnet.files.errors import UserError

FILE_VARIABLE = "ESNET_CAMPAIGN_NOTIFY"
Event = Literal["finished", "stuck", "found"]
EVENTS: tuple[Event, ...] = ("finished", "stuck", "found")


class NotifyFileError(UserError, ValueError):
    """The user's notification file cannot be used; the message names file and field, never a value."""


class NotifySettings(StrictModel):
    """The section ``notify``.

    Error messages quote no values, since the address of a webhook is usually a secret.
    """

    command: list[str] | None = Field(
        default=None, description="program and its arguments, run without a shell; receives the message on stdin"
    )
    webhook: str | None = Field(default=None, description="http or https address that accepts a POST request with JSON")
    events: list[Event] = Field(default=list(EVENTS), description="events to report: finished, stuck, found")
    timeout_s: float = Field(
        default=10.0, gt=0.0, le=300.0, description="seconds after which the command or the request is abandoned"
    )
    collect_s: float = Field(
        default=60.0, ge=0.0, le=86400.0, description="seconds during which discoveries are collected into one message"
    )

    @field_validator("command", mode="before")
    @classmethod
    def _words(cls, value: object) -> object:
        return shlex.split(value) if isinstance(value, str) else value

    @field_validator("command")
    @classmethod
    def _program(cls, value: list[str] | None) -> list[str] | None:
        if value is not None and (not value or not value[0] or any("\0" in word for word in value)):
            raise ValueError("no program; right: e.g. [notify-send, esnet-campaign]")
        return value

    @field_validator("webhook")
    @classmethod
    def _address(cls, value: str | None) -> str | None:
        if value is None:
            return None
        try:
            parts = urlsplit(value)
            usable = parts.scheme in ("http", "https") and parts.hostname and (parts.port or 1) and value.isascii()
        except ValueError:
            usable = False
        if not usable or any(char.isspace() or not char.isprintable() for char in value):
            raise ValueError("not an address; right: https://HOST/PATH or http://127.0.0.1:PORT/PATH")
        return value

    @model_validator(mode="after")
    def _somewhere(self) -> "NotifySettings":
        if self.command is None and self.webhook is None:
            raise ValueError("neither command nor webhook is given; right: one of them, or both")
        return self

    @property
    def host(self) -> str | None:
        """Host and port of the webhook, the only part of its address that may be shown."""
        if self.webhook is None:
            return None
        parts = urlsplit(self.webhook)
        return f"{parts.hostname}:{parts.port}" if parts.port else parts.hostname

    @property
    def is_here(self) -> bool:
        """Whether the webhook is on this machine, for which no proxy is used."""
        name = urlsplit(self.webhook or "").hostname or ""
        try:
            return ipaddress.ip_address(name).is_loopback
        except ValueError:
            return name == "localhost"


def settings_file() -> Path | None:
    """Return the path of the file: ESNET_CAMPAIGN_NOTIFY, or ``esnet-campaign/notify.yaml`` in ~/.config.

    None if neither is set: a user without a home folder.
    """
    named, base = os.environ.get(FILE_VARIABLE), os.environ.get("XDG_CONFIG_HOME")
    try:
        if named:
            return Path(named).expanduser()
        return (Path(base) if base else Path.home() / ".config") / "esnet-campaign" / "notify.yaml"
    except RuntimeError:
        if not named:
            return None
        raise NotifyFileError(
            f"{FILE_VARIABLE}: {named} is in the home folder of an unknown user; right: a path that begins with /"
        ) from None


def read_settings() -> NotifySettings | None:
    """Read the user's file; None if there is none.

    Raises
    ------
    NotifyFileError
        If the file given by ESNET_CAMPAIGN_NOTIFY is missing, or a file is invalid, writable by others than its owner,
        or readable by others although it contains the address of a webhook.
    """
    path = settings_file()
    if path is None:
        return None
    try:
        with path.open("rb") as file:
            found = os.fstat(file.fileno())  # of the opened file, whatever now has its name
            text = file.read(LARGEST_FILE).decode("utf-8")
        content = load_yaml(text)
    except (OSError, UnicodeDecodeError) as error:
        if isinstance(error, FileNotFoundError | NotADirectoryError) and not os.environ.get(FILE_VARIABLE):
            return None
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise NotifyFileError(
            f"{path}: cannot be read ({reason}); right: a YAML file with the section notify"
        ) from None
    except (YAMLError, ValueError) as error:
        mark = error.problem_mark if isinstance(error, MarkedYAMLError) else None
        where = "" if mark is None else f", line {mark.line + 1}"
        raise NotifyFileError(f"{path}{where}: is not valid YAML") from None  # its message would quote the line
    _check_owner(path, found)
    if not isinstance(content, dict) or set(content) != {"notify"}:
        raise NotifyFileError(f"{path}: unexpected content; right: one section, notify, with command or webhook")
    try:
        settings = NotifySettings.model_validate(content["notify"])
    except ValidationError as error:
        problems = [_problem(str(path), each["loc"], each["msg"]) for each in error.errors(include_input=False)]
        raise NotifyFileError("; ".join(problems)) from None
    if settings.webhook is not None and found.st_mode & 0o077:
        raise NotifyFileError(
            f"{path}: other users may read it, but the address of a webhook is a secret; right: chmod 600 {path}"
        )
    return settings


def _check_owner(path: Path, found: os.stat_result) -> None:
    """Refuse a file that others may write, whose commands would run as this user."""
    if found.st_uid not in (os.geteuid(), 0):
        raise NotifyFileError(
            f"{path}: belongs to user {found.st_uid}; right: a file that belongs to you, then chmod 600 {path}"
        )
    if stat.S_IMODE(found.st_mode) & 0o022:
        raise NotifyFileError(
            f"{path}: other users may write it (mode {stat.S_IMODE(found.st_mode):o}), and its command would run as "
            f"you; right: chmod 600 {path}"
        )


def _problem(path: str, place: tuple[str | int, ...], message: str) -> str:
    known = NotifySettings.model_fields
    if place and place[0] not in known:
        # not named: it may be the address of a webhook, written without its key
        return f"{path}: notify: an unknown field (known here: {', '.join(known)})"
    field = ".".join(str(part) for part in ("notify", *place))
    return f"{path}: {field}: {message.removeprefix('Value error, ')}"
