"""Properties of the energies of interatomic potentials: the functional, and the corrections that they contain.

A potential reproduces the energies that it was trained on. If these were corrected, so are its own.
"""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class PotentialEnergies:
    """Properties of the energies of a potential with its default or other named weights.

    Attributes
    ----------
    functional
        Functional of the DFT data that it was trained on; None if it was fitted to experiments.
    corrections
        Corrections that its energies contain, ``none`` or ``mp2020``; None if unknown, in which case the campaign file
        states them.
    evidence
        Evidence for the corrections.
    """

    functional: str | None = "PBE"
    corrections: str | None = None
    evidence: str


_RAW_MACE = "its authors: the energies are those of VASP without corrections (ACEsuit/mace, pull request 342)"
_MATPES = "trained on MatPES: static PBE or r2SCAN energies, without U and without corrections (arXiv:2503.04070)"
_NOT_MEASURED = "not measured"
_HIGHER_MGO = "E_f of MgO is higher than that of CHGNet by half of 0.687 eV"

POTENTIAL_ENERGIES: Mapping[str, PotentialEnergies] = {
    "EMT": PotentialEnergies(functional=None, corrections="none", evidence="fitted to metals, which have none"),
    "CHGNet": PotentialEnergies(
        corrections="mp2020",
        evidence="trained on corrected energies (CederGroupHub/chgnet, pull request 46); E_f of MgO is lower than that "
        "of SevenNet-0 by half of 0.687 eV, and on 101 compounds with anions the bias is -0.334 eV/atom, -0.032 "
        "without them",
    ),
    "MACE-MP-0": PotentialEnergies(corrections="none", evidence=_RAW_MACE),
    "MACE-MP-0b3": PotentialEnergies(corrections="none", evidence=_RAW_MACE),
    "MACE-MPA-0": PotentialEnergies(corrections="none", evidence=_RAW_MACE),
    "M3GNet": PotentialEnergies(corrections="none", evidence=f"{_MATPES}; atomate2's default weights"),
    "MatPES-PBE": PotentialEnergies(corrections="none", evidence=_MATPES),
    "MatPES-r2SCAN": PotentialEnergies(functional="r2SCAN", corrections="none", evidence=_MATPES),
    "SevenNet": PotentialEnergies(corrections="none", evidence=_HIGHER_MGO),
    "MatterSim": PotentialEnergies(evidence=_NOT_MEASURED),
    "FAIRChem": PotentialEnergies(functional=None, evidence=_NOT_MEASURED),
    "UPET": PotentialEnergies(functional=None, evidence=_NOT_MEASURED),
}

_R2SCAN_CHGNET = PotentialEnergies(
    functional="r2SCAN", corrections="none", evidence="transfer learning to MP-r2SCAN (chgnet, pretrained/r2scan)"
)
#: Properties for weights other than the default ones.
_OF_WEIGHTS: Mapping[tuple[str, str], PotentialEnergies] = {
    ("CHGNet", "0.2.0"): PotentialEnergies(
        corrections="mp2020",
        evidence="trained on the energies of 0.3.0; in the same cell (a = 4.24 A) MgO has -12.640 eV with it, -12.627 "
        "with 0.3.0 and -11.954 with SevenNet-0",
    ),
    ("CHGNet", "r2scan"): _R2SCAN_CHGNET,
    ("SevenNet", "l3i5"): PotentialEnergies(corrections="none", evidence=_HIGHER_MGO),
    ("SevenNet", "MF-0"): PotentialEnergies(corrections="none", evidence=f"its task PBE; {_HIGHER_MGO}"),
}


def energies_of(calculator: str, model: str | None) -> PotentialEnergies:
    """Return the properties of the energies of a potential with the given weights; None means the default ones."""
    return _OF_WEIGHTS.get((calculator, model or ""), POTENTIAL_ENERGIES[calculator])
