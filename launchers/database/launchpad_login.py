"""Puts the login of the embedded database into my_launchpad.yaml, where FireWorks' own commands find it too."""

import contextlib
import io
import os
import stat
import subprocess
from pathlib import Path

from ruamel.yaml import YAML

from launchers.database.errors import LaunchpadFileError
from launchers.database.launchpad_file import EMBEDDED_LOGIN_DATABASE, EMBEDDED_USER
from launchers.database.settings import DatabaseSettings


def write_login(path: Path, password: str, *, private_folder: Path) -> None:
    """Let a launchpad file log in as the owner of the embedded database, and only this user read it.

    Comments and all other fields stay. With a URI the login goes beside it, since ``lpad`` prints the URI when it
    finds no server. A file that is under version control keeps no password: the content goes into the private folder
    and a link takes its place.

    Parameters
    ----------
    path
        A file that `read_launchpad_file` accepts.
    private_folder
        Where the content goes if git tracks the file.

    Raises
    ------
    LaunchpadFileError
        It cannot be written.
    """
    place = path.resolve()
    settings = DatabaseSettings.from_file(place)
    tracked = _is_tracked(place)
    try:
        if not tracked and settings.user == EMBEDDED_USER and settings.login().get("password") == password:
            if stat.S_IMODE(place.stat().st_mode) & 0o077:
                place.chmod(0o600)
            return
        content = _with_login(place.read_text(encoding="utf-8"), password, uri_mode=settings.uri_mode)
        _write_private(private_folder / path.name if tracked else place, content)
        if tracked:
            link = path.with_name(f".{path.name}.{os.getpid()}")
            link.symlink_to(os.path.relpath(private_folder / path.name, path.parent.resolve()))
            link.replace(path)
    except OSError as error:
        raise LaunchpadFileError(
            f"{path}: the password of the embedded database cannot be written into it: {error.strerror}"
        ) from None


def _with_login(text: str, password: str, *, uri_mode: bool) -> str:
    yaml = YAML()
    yaml.preserve_quotes = True
    yaml.width = 4096  # a URI stays on its line
    content = yaml.load(text)
    if uri_mode:
        login = {"username": EMBEDDED_USER, "password": password, "authSource": EMBEDDED_LOGIN_DATABASE}
        lower = {name.lower() for name in login}
        given = content.get("mongoclient_kwargs") or {}
        kept = {name: value for name, value in given.items() if name.lower() not in lower}
        content["mongoclient_kwargs"] = {**kept, **login}
    else:
        content |= {"username": EMBEDDED_USER, "password": password, "authsource": EMBEDDED_LOGIN_DATABASE}
    written = io.StringIO()
    yaml.dump(content, written)
    return written.getvalue()


def _write_private(path: Path, text: str) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
            file.write(text)
        temporary.replace(path)
    finally:
        with contextlib.suppress(FileNotFoundError):
            temporary.unlink()


def _is_tracked(path: Path) -> bool:
    try:
        answer = subprocess.run(
            ["git", "-C", str(path.parent), "ls-files", "--error-unmatch", "--", path.name],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=20,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return False  # without git there is no version control that we know of
    return answer.returncode == 0
