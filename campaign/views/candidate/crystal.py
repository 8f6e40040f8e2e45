"""Crystals of a candidate: figure, cell parameters and the CIF to download."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from campaign.candidates.space_groups import space_group_of
from campaign.store.documents import CandidateDocument
from campaign.views.export.formats import cif_text
from campaign.views.export.selection import file_name, plain_structure
from campaign.views.report.structures import ShownStructure, shown_structure
from esnet.files.errors import UserError

Which = Literal["unrelaxed", "relaxed"]
WHICH: tuple[Which, ...] = ("unrelaxed", "relaxed")


class NoCrystalError(UserError, LookupError):
    """A candidate has no such crystal, or one that cannot be read; the message says which."""


@dataclass(frozen=True, kw_only=True)
class CrystalFacts:
    """A crystal and its cell.

    Attributes
    ----------
    shown
        Structure that the browser draws.
    space_group
        Hermann-Mauguin symbol and number, ``Pm-3m (221)``; None if no symmetry is found.
    lengths, angles
        a, b, c in A and alpha, beta, gamma in degrees.
    volume
        A^3 per atom.
    """

    shown: ShownStructure
    space_group: str | None
    lengths: tuple[float, float, float]
    angles: tuple[float, float, float]
    volume: float


def stored_crystal(document: Mapping[str, Any], which: Which) -> dict[str, Any] | None:
    """Return pymatgen's dictionary of a candidate's crystal, or None if it is not stored."""
    holder = document if which == "unrelaxed" else document.get("relaxation") or {}
    found: dict[str, Any] | None = holder.get("structure")
    return found


def label_of(document: Mapping[str, Any]) -> str:
    """Return the label shown next to a candidate's formula: its name in its source, or its prototype."""
    parent = document.get("parent")
    name = parent.get("name") if isinstance(parent, Mapping) else None
    return str(name or document.get("prototype") or "")


def crystal_facts(name: str, content: Mapping[str, Any], *, relaxed: bool) -> CrystalFacts:
    """Return the facts of a stored crystal; errors of pymatgen on damaged data are not caught."""
    lattice = plain_structure(dict(content)).lattice
    shown = shown_structure(name, content, relaxed=relaxed)
    numbers = np.array([*lattice.matrix.ravel(), *np.ravel(shown.positions)])
    if not (shown.species and np.isfinite(numbers).all() and lattice.volume > 0):
        raise ValueError("a cell without atoms or without a volume, or a position that is not a number")
    group = space_group_of(content)
    return CrystalFacts(
        shown=shown,
        space_group=None if group is None else f"{group[0]} ({group[1]})",
        lengths=lattice.abc,
        angles=lattice.angles,
        volume=lattice.volume / len(shown.species),
    )


def cif_file(document: CandidateDocument, which: Which) -> tuple[str, str]:
    """Return the file name (letters, digits and ``.+-_``) and the CIF of a crystal in P 1, with all atoms.

    Raises
    ------
    NoCrystalError
        If there is no such crystal, or it cannot be read.
    """
    try:
        content = stored_crystal(document, which)
        text = None if content is None else cif_text(plain_structure(content))
    except Exception as error:
        raise NoCrystalError(
            f"the {which} crystal of candidate {document['_id']} cannot be read ({type(error).__name__}: {error}): see "
            f"`campaign verify {document.get('campaign')}`"
        ) from error
    if text is None:
        raise NoCrystalError(f"candidate {document['_id']} has no {which} crystal in the database")
    return f"{file_name(str(document.get('formula')), label_of(document), document['_id'])}_{which}.cif", text
