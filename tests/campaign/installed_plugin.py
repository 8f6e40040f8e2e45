"""A package that exists for a test alone, installed as pip would leave it: its entry points are found."""

from pathlib import Path

import pytest


def install(patch: pytest.MonkeyPatch, folder: Path, entry_points: str) -> None:
    """Put a distribution with these entry points (as in entry_points.txt) on the path while the patch lasts."""
    info = folder / "mine-1.0.dist-info"
    info.mkdir()
    info.joinpath("METADATA").write_text("Metadata-Version: 2.1\nName: mine\nVersion: 1.0\n")
    info.joinpath("entry_points.txt").write_text(entry_points)
    patch.syspath_prepend(str(folder))
