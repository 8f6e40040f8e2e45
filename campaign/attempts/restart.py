"""The geometry to continue a relaxation from: the last CONTCAR of an earlier attempt."""

import logging
import socket
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from monty.io import zopen
from pymatgen.core import Structure

from campaign.candidates.poscar import read_poscar
from campaign.store.attempts import attempt_number, interrupted_attempts
from campaign.store.collections import CampaignStore
from campaign.store.states import STAGES
from workflows.whole_files import is_whole_contcar

logger = logging.getLogger(__name__)

#: Causes that do not discredit the geometry reached; a crash of the engine may be due to it.
_GEOMETRY_IS_GOOD = (
    *("timeout", "out_of_memory", "cancelled", "node_fail", "preempted", "requeued", "killed"),
    *("interrupted", "disk_full", "database"),
)


def last_geometry(store: CampaignStore, document: Mapping[str, Any]) -> tuple[Structure, dict[str, Any]] | None:
    """Return the last geometry of the latest interrupted attempt at a document's relaxation.

    Parameters
    ----------
    document
        Candidate or reference with ``_id`` and ``structure``.

    Returns
    -------
    tuple or None
        The structure, and where it comes from (``attempt``, ``directory``, ``cause``). None if no attempt was
        interrupted, or none left a readable CONTCAR with the same atoms.
    """
    initial = Structure.from_dict(document["structure"])
    entries = interrupted_attempts(store, document["_id"], STAGES["relax"], causes=_GEOMETRY_IS_GOOD)
    for entry in sorted(entries, key=lambda found: (found["fw_id"], attempt_number(found["_id"])), reverse=True):
        if not entry.get("directory"):
            continue
        structure = _read_contcar(Path(entry["directory"]))
        if structure is not None and _is_same_crystal(structure, initial):
            found = {"attempt": entry["_id"], "directory": entry["directory"], "cause": entry.get("cause")}
            return structure, found
        where = "" if entry.get("host") == socket.gethostname() else f" (written on {entry.get('host')})"
        logger.info("attempt %s of %s left no usable CONTCAR%s", entry["_id"], document["_id"], where)
    return None


def _read_contcar(directory: Path) -> Structure | None:
    for name in ("CONTCAR", "CONTCAR.gz"):
        path = directory / name
        try:
            with zopen(path, mode="rt", encoding="utf-8") as file:
                text = str(file.read())
            # the last number of a truncated file may lack digits
            if is_whole_contcar(text):
                return read_poscar(text)[0]
        except (OSError, EOFError, zlib.error, ValueError):
            continue  # absent, empty (no ionic step finished) or truncated by a kill
    return None


def _is_same_crystal(found: Structure, initial: Structure) -> bool:
    """Whether a geometry has the same atoms, in a cell that a relaxation of the initial one can have reached."""
    counts = {str(element): number for element, number in found.composition.items()}
    if counts != {str(element): number for element, number in initial.composition.items()}:
        return False
    return bool(0.3 < found.volume / initial.volume < 3.0 and found.is_valid())
