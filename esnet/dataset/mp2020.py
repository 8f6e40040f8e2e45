"""The Materials Project's energy corrections, and the conversion of formation energies between the two schemes.

``none``: uncorrected energies. ``mp2020``: the corrections of A. Wang et al., Sci. Rep. 11 (2021) 15496 (pymatgen's
MaterialsProject2020Compatibility) for oxides, sulphides and other compounds with anions.
"""

import warnings
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from pymatgen.core import Structure

# pymatgen's entries and input sets are imported where they are needed: three CPU-s, and most commands need neither
if TYPE_CHECKING:
    from pymatgen.entries.compatibility import MaterialsProject2020Compatibility


@dataclass(frozen=True, kw_only=True)
class Corrected:
    """Energy under a correction scheme.

    Attributes
    ----------
    energy
        Total energy of the cell (eV) or formation energy (eV/atom) including the corrections; None if the scheme does
        not apply to the crystal.
    reason
        Why the scheme does not apply; None otherwise.
    """

    energy: float | None
    reason: str | None = None


def convert_formation_energy(
    e_form: float, structure: Structure | Mapping[str, Any], *, given: str, wanted: str
) -> Corrected:
    """Convert a formation energy from one correction scheme to another, using the corrections of its crystal.

    The corrections of the elements are zero in both schemes, so only the correction of the compound matters.

    Parameters
    ----------
    e_form
        Formation energy in the scheme ``given``, eV/atom.
    structure
        The crystal, or its pymatgen dictionary; the unrelaxed one for a prediction.
    given, wanted
        Schemes to convert from and to: ``none`` or ``mp2020``.

    Returns
    -------
    Corrected
        Formation energy in eV/atom; None, with a reason, if mp2020 does not apply to the crystal.
    """
    if given == wanted:
        return Corrected(energy=e_form)
    if not isinstance(structure, Structure):
        structure = Structure.from_dict(dict(structure))
    found = corrected_energy(0.0, structure.composition.as_dict(), structure)
    if found.energy is None:
        return found
    correction = found.energy / len(structure)
    return Corrected(energy=e_form + correction if wanted == "mp2020" else e_form - correction)


def is_corrected(elements: Collection[str]) -> bool:
    """Whether mp2020 may correct a compound of these elements; alloys without anions are not corrected."""
    return len(elements) > 1 and not _corrected_elements().isdisjoint(elements)


@cache
def _compatibility() -> "MaterialsProject2020Compatibility":
    from pymatgen.entries.compatibility import MaterialsProject2020Compatibility

    # a campaign's POTCARs are recorded in its settings; pymatgen would look for them in every entry
    return MaterialsProject2020Compatibility(check_potcar=False)


@cache
def _corrected_elements() -> frozenset[str]:
    # oxygen is listed as oxide, peroxide, superoxide and ozonide; an element with a Hubbard U only beside O or F
    return frozenset({"O", *(name for name in _compatibility().comp_correction if name[0].isupper())})


def corrected_energy(
    energy: float, composition: Mapping[str, float], structure: Any, hubbards: Mapping[str, float] | None = None
) -> Corrected:
    """Correct the energy of a cell; the structure, or its dictionary, is only used if there is a correction."""
    if not is_corrected(composition):
        return Corrected(energy=energy)  # elements and alloys are not corrected
    from pymatgen.core.entries import ComputedStructureEntry
    from pymatgen.entries.compatibility import CompatibilityError

    hubbards = dict(hubbards or {})
    if untreated := sorted(mp2020_untreated(composition) - hubbards.keys()):
        return Corrected(
            energy=None,
            reason=f"mp2020 requires a Hubbard U for oxides and fluorides of {', '.join(untreated)}, but this energy "
            "was computed without one (dft.hubbard_u)",
        )
    crystal = structure if isinstance(structure, Structure) else Structure.from_dict(structure)
    parameters = {"run_type": "GGA+U" if hubbards else "GGA", "hubbards": hubbards}
    entry = ComputedStructureEntry(crystal, energy, parameters=parameters)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # pymatgen has a fallback where oxidation states cannot be guessed
            adjustments = _compatibility().get_adjustments(entry)
    except CompatibilityError as error:
        return Corrected(energy=None, reason=f"mp2020 cannot treat it: {str(error)[:200]}")
    return Corrected(energy=energy + sum(float(adjustment.value) for adjustment in adjustments))


def mp2020_untreated(elements: Collection[str]) -> set[str]:
    """Return the elements for which mp2020 requires a Hubbard U because the compound contains oxygen or fluorine."""
    anions = {"O", "F"}.intersection(elements)
    if not anions:
        return set()
    from pymatgen.io.vasp.sets import MPRelaxSet

    with_u = MPRelaxSet.CONFIG["INCAR"]["LDAUU"]
    return {symbol for anion in anions for symbol, u in with_u[anion].items() if u}.intersection(elements)
