"""Launch folders of a deleted campaign: identified by the files that FireWorks wrote into them, and removed.

A folder is only removed if FireWorks made it for a launch of this campaign: it has FireWorks' name (``launcher_...``),
and the firework in its FW.json belongs to the campaign. Links are not followed.
"""

import contextlib
import gzip
import json
import logging
import re
import shutil
import zlib
from collections.abc import Iterable
from pathlib import Path

logger = logging.getLogger(__name__)

_LAUNCHER = re.compile(r"launcher_[\d\-]+")
#: Files that `campaign run` writes into the folder of its launch folders (`launchers.workers.local`).
_OF_RUN = re.compile(r"worker-\d+-\d+\.log|ray-token|ray-dashboard")
_BLOCK = re.compile(r"block_[\d\-]+")


def remove_launch_folders(places: Iterable[str], campaign: str) -> tuple[int, list[str]]:
    """Remove the launch folders of a campaign on this machine, and the folder of its `campaign run` once it is empty.

    Parameters
    ----------
    places
        Folders of its launches.

    Returns
    -------
    int, list of str
        Number removed, and the folders left, with the reason.
    """
    removed, left = 0, []
    parents: set[Path] = set()
    for folder in sorted({_launch_folder(Path(place)) for place in places}):
        if not folder.is_dir():
            continue  # on another machine, or removed before
        if (why := _why_not(folder, campaign)) is not None:
            left.append(f"{folder}: {why}")
            continue
        try:
            shutil.rmtree(folder)
        except OSError as error:
            left.append(f"{error.filename or folder}: {error.strerror}")
            continue
        removed += 1
        parents.add(folder.parent)
    for parent in sorted(parents, reverse=True):
        left += _remove_parent(parent, campaign)
    return removed, left


def _launch_folder(place: Path) -> Path:
    """Return the folder that FireWorks made for a launch: the given one or a parent."""
    return next((folder for folder in (place, *place.parents) if _LAUNCHER.fullmatch(folder.name)), place)


def _why_not(folder: Path, campaign: str) -> str | None:
    """Return why a folder is not removed; None if it belongs to the campaign."""
    if not _LAUNCHER.fullmatch(folder.name):
        return "others may work there: it was not made for one launch (launcher_...)"
    if folder.is_symlink() or folder.resolve() != folder:
        return "it is reached through a symbolic link"
    owner = _owner(folder)
    if owner is None:
        return "it has no FW.json that says whose it is"
    return None if owner == campaign else f"FW.json in it is of {owner}"


def _owner(folder: Path) -> str | None:
    """Return the campaign of the firework described in a launch folder, or None."""
    for name in ("FW.json", "FW.json.gz"):
        with contextlib.suppress(OSError, EOFError, ValueError, TypeError, zlib.error):
            content = (folder / name).read_bytes()
            firework = json.loads(gzip.decompress(content) if name.endswith(".gz") else content)
            spec = firework.get("spec") or {}
            owner = spec.get("campaign_name") or ("campaign" in spec and firework.get("name")) or None
            return None if owner is None else str(owner)
    return None


def _remove_parent(parent: Path, campaign: str) -> list[str]:
    """Remove the folder of a `campaign run`, or a block of `qlaunch`, that contains only its own files."""
    is_of_run = parent.name == campaign
    if not is_of_run and not _BLOCK.fullmatch(parent.name):
        return []
    if parent.is_symlink() or any(parent.glob("launcher_*")):
        return []
    if is_of_run:
        for file in parent.iterdir():
            if _OF_RUN.fullmatch(file.name) and file.is_file() and not file.is_symlink():
                file.unlink()
    try:
        parent.rmdir()
    except OSError:
        others = sorted(path.name for path in parent.iterdir())
        return [f"{parent}: it also holds {', '.join(others[:5])}"] if is_of_run else []
    return []
