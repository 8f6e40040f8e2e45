"""Write the login of the embedded database into my_launchpad.yaml, for FireWorks' own commands too."""

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
    """Add the login of the embedded database's owner to a launchpad file, and make it readable by this user only.

    Comments and other fields are kept. With a URI the login is stored separately, since ``lpad`` prints the URI when it
    finds no server. A file under version control gets no password: its content moves to the private folder and is
    replaced by a link.

    Parameters
    ----------
    path
        A file accepted by `read_launchpad_file`.
    private_folder
        Folder for the content if git tracks the file.

    Raises
    ------
    LaunchpadFileError
        If it cannot be written.
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
    yaml.width = 4096  # keeps a URI on one line
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
        return False  # without git there is no known version control
    return answer.returncode == 0
