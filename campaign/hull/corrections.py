"""Energy corrections of candidates and own phases, so that they meet references of the same correction scheme.

``none``: energies as computed. ``mp2020``: those of the Materials Project, A. Wang et al., Sci. Rep. 11 (2021) 15496
(pymatgen's MaterialsProject2020Compatibility), which correct oxides, sulphides and other compounds of anions.
"""

import warnings
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from pymatgen.core import Structure
from pymatgen.entries.compatibility import CompatibilityError, MaterialsProject2020Compatibility
from pymatgen.entries.computed_entries import ComputedStructureEntry
from pymatgen.io.vasp.sets import MPRelaxSet

RELAXED_FIELDS = ("composition", "relaxation.energy", "relaxation.structure")
"""Fields of a relaxed document that `corrected_energies` reads."""


@dataclass(frozen=True, kw_only=True)
class Corrected:
    """Energy of a relaxed structure under a correction scheme.

    Attributes
    ----------
    energy
        Total energy of the cell with its corrections, eV; None where the scheme cannot treat it.
    reason
        Why it cannot; None where it can.
    """

    energy: float | None
    reason: str | None = None


def relaxed_fields(scheme: str) -> list[str]:
    """Return what has to be read of a relaxed document; structures are large and needed for corrections only."""
    return [field for field in RELAXED_FIELDS if scheme != "none" or field != "relaxation.structure"]


def corrected_energies(documents: Iterable[Mapping[str, Any]], scheme: str) -> list[Corrected]:
    """Energies of relaxed candidates or references under a correction scheme.

    Parameters
    ----------
    documents
        With the fields of `relaxed_fields`; PBE without Hubbard U, as every campaign computes.
    scheme
        ``none`` or ``mp2020``.

    Returns
    -------
    list of Corrected
        In the order of the documents.

    Raises
    ------
    ValueError
        If the scheme is unknown.
    """
    if scheme == "none":
        return [Corrected(energy=float(document["relaxation"]["energy"])) for document in documents]
    if scheme != "mp2020":
        raise ValueError(f"correction scheme {scheme!r}: this program knows none and mp2020; update esnet-campaign")
    # the campaign's own POTCARs are recorded in its settings; pymatgen would look for a list of them in each entry
    compatibility = MaterialsProject2020Compatibility(check_potcar=False)
    return [_corrected(document, compatibility) for document in documents]


def _corrected(document: Mapping[str, Any], compatibility: MaterialsProject2020Compatibility) -> Corrected:
    relaxation = document["relaxation"]
    energy = float(relaxation["energy"])
    if len(document["composition"]) == 1:
        return Corrected(energy=energy)  # the scheme leaves elements alone
    if untreated := sorted(mp2020_untreated(document["composition"])):
        return Corrected(
            energy=None,
            reason=f"mp2020 takes oxides and fluorides of {', '.join(untreated)} with a Hubbard U only, and this "
            "campaign computes without",
        )
    entry = ComputedStructureEntry(
        Structure.from_dict(relaxation["structure"]), energy, parameters={"run_type": "GGA", "hubbards": {}}
    )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # oxidation states that cannot be guessed: pymatgen has a rule for it
            adjustments = compatibility.get_adjustments(entry)
    except CompatibilityError as error:
        return Corrected(energy=None, reason=f"mp2020 cannot treat it: {str(error)[:200]}")
    return Corrected(energy=energy + sum(float(adjustment.value) for adjustment in adjustments))


def mp2020_untreated(elements: Collection[str]) -> set[str]:
    """Elements that mp2020 wants with a Hubbard U in a compound of these, because there is oxygen or fluorine in it."""
    anions = {"O", "F"}.intersection(elements)
    if not anions:
        return set()
    with_u = MPRelaxSet.CONFIG["INCAR"]["LDAUU"]
    return {symbol for anion in anions for symbol, u in with_u[anion].items() if u}.intersection(elements)
