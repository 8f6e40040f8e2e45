"""The hull of a replay whose data have none: from a file of reference entries, or of the elements alone."""

from __future__ import annotations

import gzip
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from campaign.replay.data import ReplayDataError

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from pymatgen.core import Composition

ELEMENTS_ONLY = (
    "no reference entries were given: E_hull is against the elements alone, so it is E_f, and more looks stable than "
    "would be with known compounds (--references FILE)"
)


def hull_energies(compositions: Sequence[Composition], references: Path | None) -> NDArray[np.float64]:
    """Formation energy of the hull at each composition, (n,) in eV/atom; 0 where there are no references.

    Raises
    ------
    ReplayDataError
        If the file of references cannot be used.
    MissingElementError
        If it has no phase of an element.
    """
    if references is None:
        return np.zeros(len(compositions))
    from campaign.decisions.hull import HullSet

    return -HullSet(_entries(references)).distances(compositions, np.zeros(len(compositions)))


def _entries(path: Path) -> list[Any]:
    """Entries of a JSON list or a JSONL file of pymatgen's entry dictionaries, also gzipped.

    Composition and corrected energy are all that is taken: nothing in the file is executed.
    """
    from pymatgen.core import Composition
    from pymatgen.entries.computed_entries import ComputedEntry

    right = "right: a JSON list, or one JSON object a line, of pymatgen's ComputedEntry.as_dict()"
    entries = []
    try:
        raw = path.read_bytes()
        text = (gzip.decompress(raw) if raw[:2] == b"\x1f\x8b" else raw).decode()
        rows = (
            json.loads(text)
            if text.lstrip().startswith("[")
            else [json.loads(line) for line in text.splitlines() if line.strip()]
        )
    except (OSError, EOFError, ValueError) as error:
        raise ReplayDataError(path, [f"cannot be read as JSON ({error}); {right}"]) from error
    for number, row in enumerate(rows, start=1):
        try:
            energy = float(row["energy"]) + float(row.get("correction") or 0.0)
            if not math.isfinite(energy):
                raise ValueError(f"its energy is {energy}")
            entries.append(ComputedEntry(Composition(row["composition"]), energy, entry_id=row.get("entry_id")))
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise ReplayDataError(path, [f"entry {number} cannot be used ({error!r}); {right}"]) from error
    if not entries:
        raise ReplayDataError(path, [f"has no entry; {right}"])
    return entries
