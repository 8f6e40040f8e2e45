"""The trained models shipped with the project, each with its model card (README.md) in its folder."""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from esnet.bundle.files import default_work
from esnet.files.errors import UserError


class UnknownModelError(UserError, ValueError):
    """No shipped model has this name."""


def shipped_bundles() -> Mapping[str, Path]:
    """Return the folders of the shipped bundles by name."""
    folder = Path(__file__).resolve().parents[1] / "bundles"
    return MappingProxyType({path.parent.name: path.parent for path in sorted(folder.glob("*/manifest.json"))})


def bundle_folder(name: str | Path) -> Path:
    """Return the folder of a bundle, given by the name of a shipped one or as a path.

    Raises
    ------
    UnknownModelError
        If it is neither the name of a shipped bundle nor a folder.
    """
    shipped = shipped_bundles()
    if str(name) in shipped:
        return shipped[str(name)]
    path = Path(name)
    if not path.is_dir():
        if default_work(path).is_dir():
            raise UnknownModelError(f"{name}: its training has not finished; the same `esnet train` command resumes it")
        raise UnknownModelError(
            f"{name} is neither the folder of a trained ESNet nor the name of one that ships with the project "
            f"({', '.join(shipped) or 'none'})"
        )
    return path
