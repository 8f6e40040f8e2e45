"""Energy corrections of candidates, own phases and predictions, so that they meet references of the same scheme.

``none``: energies as computed. ``mp2020``: those of the Materials Project, A. Wang et al., Sci. Rep. 11 (2021) 15496
(pymatgen's MaterialsProject2020Compatibility), which correct oxides, sulphides and other compounds of anions.
"""

import warnings
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from pymatgen.core import Structure
from pymatgen.entries.compatibility import CompatibilityError, MaterialsProject2020Compatibility
from pymatgen.entries.computed_entries import ComputedStructureEntry
from pymatgen.io.vasp.sets import MPRelaxSet

RELAXED_FIELDS = ("composition", "relaxation.energy", "relaxation.hubbards", "relaxation.structure")
"""Fields of a relaxed document that `corrected_energies` reads."""


@dataclass(frozen=True, kw_only=True)
class Corrected:
    """Energy under a correction scheme.

    Attributes
    ----------
    energy
        Total energy of the cell (eV) or formation energy (eV/atom) with its corrections; None where the scheme cannot
        treat it.
    reason
        Why it cannot; None where it can.
    """

    energy: float | None
    reason: str | None = None


def relaxed_fields(scheme: str) -> list[str]:
    """Return the fields to read of a relaxed document; structures are large and needed for corrections only."""
    return [field for field in RELAXED_FIELDS if scheme != "none" or field != "relaxation.structure"]


def corrected_energies(documents: Iterable[Mapping[str, Any]], scheme: str) -> list[Corrected]:
    """Energies of relaxed candidates or references under a correction scheme.

    Parameters
    ----------
    documents
        With the fields of `relaxed_fields`; PBE, with the Hubbard U that each says (``relaxation.hubbards``).
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
    return [
        _corrected(
            float(found["relaxation"]["energy"]),
            found["composition"],
            found["relaxation"].get("structure"),
            found["relaxation"].get("hubbards") or {},
        )
        for found in documents
    ]


def convert_formation_energy(
    e_form: float, structure: Structure | Mapping[str, Any], *, given: str, wanted: str
) -> Corrected:
    """Take a formation energy from one correction scheme to another, with the corrections of the crystal at hand.

    Corrections of elements are zero in both schemes, so only those of the compound differ.

    Parameters
    ----------
    e_form
        Formation energy with the corrections ``given``, eV/atom.
    structure
        The crystal, or pymatgen's dictionary of it. A prediction has the unrelaxed one.
    given, wanted
        ``none`` or ``mp2020``.

    Returns
    -------
    Corrected
        In eV/atom; without an energy where mp2020 cannot treat the crystal.
    """
    if given == wanted:
        return Corrected(energy=e_form)
    if not isinstance(structure, Structure):
        structure = Structure.from_dict(dict(structure))
    found = _corrected(0.0, structure.composition.as_dict(), structure)
    if found.energy is None:
        return found
    correction = found.energy / len(structure)
    return Corrected(energy=e_form + correction if wanted == "mp2020" else e_form - correction)


def is_corrected(elements: Collection[str]) -> bool:
    """Whether mp2020 may correct a compound of these elements; an alloy without anions has the same energy in both."""
    return len(elements) > 1 and not _corrected_elements().isdisjoint(elements)


@cache
def _compatibility() -> MaterialsProject2020Compatibility:
    # the campaign's own POTCARs are recorded in its settings; pymatgen would look for a list of them in each entry
    return MaterialsProject2020Compatibility(check_potcar=False)


@cache
def _corrected_elements() -> frozenset[str]:
    # oxygen stands as oxide, peroxide, superoxide and ozonide; an element with a Hubbard U only beside O or F
    return frozenset({"O", *(name for name in _compatibility().comp_correction if name[0].isupper())})


def _corrected(
    energy: float, composition: Mapping[str, float], structure: Any, hubbards: Mapping[str, float] | None = None
) -> Corrected:
    """Correct the energy of a cell; the structure, or its dictionary, is not needed where there is no correction."""
    if not is_corrected(composition):
        return Corrected(energy=energy)  # the scheme leaves elements and alloys as they are
    hubbards = dict(hubbards or {})
    if untreated := sorted(mp2020_untreated(composition) - hubbards.keys()):
        return Corrected(
            energy=None,
            reason=f"mp2020 takes oxides and fluorides of {', '.join(untreated)} with a Hubbard U only, and this "
            "energy is without (dft.hubbard_u)",
        )
    crystal = structure if isinstance(structure, Structure) else Structure.from_dict(structure)
    parameters = {"run_type": "GGA+U" if hubbards else "GGA", "hubbards": hubbards}
    entry = ComputedStructureEntry(crystal, energy, parameters=parameters)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # oxidation states that cannot be guessed: pymatgen has a rule for it
            adjustments = _compatibility().get_adjustments(entry)
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
