"""The hull of a replay whose data have none: from a file of reference entries, or of the elements alone."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pymatgen.core import Composition
from pymatgen.core.entries import ComputedEntry

from campaign.hull.entries_file import read_entries_file
from campaign.hull.entries_format import EntriesFileError
from campaign.hull.hull import HullSet
from campaign.replay.data import ReplayDataError

ELEMENTS_ONLY = (
    "no reference entries were given: E_hull is relative to the elements only, so it equals E_f, and more candidates "
    "look stable than with known compounds (--references FILE)"
)


def hull_energies(compositions: Sequence[Composition], references: Path | None) -> NDArray[np.float64]:
    """Return the formation energy of the hull at each composition, shape (n,) in eV/atom; 0 without references.

    Raises
    ------
    ReplayDataError
        If the file of references cannot be used.
    MissingElementError
        If it has no phase of an element.
    """
    if references is None:
        return np.zeros(len(compositions))

    return -HullSet(_entries(references)).distances(compositions, np.zeros(len(compositions)))


def _entries(path: Path) -> list[Any]:
    """Return the entries of a file as read for `references.entries` of a campaign file."""
    try:
        file = read_entries_file(path)
    except EntriesFileError:
        try:
            # formation energies are given, so the engine of the phases does not matter
            file = read_entries_file(path, engine="vasp")
        except EntriesFileError as error:
            raise ReplayDataError(path, [str(error)]) from error
    return [ComputedEntry(Composition(entry.composition), entry.energy, entry_id=entry.id) for entry in file.entries]
