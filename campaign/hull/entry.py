"""One dictionary of an entries file -> composition, energy, and what it says of how it was computed.

No pymatgen object is built: a file of 50,000 entries holds 50,000 structures that nobody needs.
"""

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pymatgen.core import Composition

from campaign.candidates.elements import symbols

_CLASSES = frozenset({"ComputedEntry", "ComputedStructureEntry"})
_SPECIES = re.compile(r"([A-Z][a-z]?)(?:\d*\.?\d*[+-])?")
"""An element, perhaps with its oxidation state: Fe, Fe3+, O2-."""
_AGREE = 1e-4
"""eV by which ``correction`` may differ from the sum of the energy adjustments: files are rounded."""

MP2020_MARK: dict[str, Any] = {
    "@module": "pymatgen.core.entries",
    "@class": "ConstantEnergyAdjustment",
    "value": 0.0,
    "name": "MP2020 corrections, contained in the energy",
}
"""Adjustment of an entry whose energy carries the corrections of mp2020 already."""


class EntryError(ValueError):
    """An entry cannot be used; the message says what was found and what would be right."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReferenceEntry:
    """A phase of an entries file.

    Attributes
    ----------
    id
        The entry's id, or its place in the file where it has none.
    place
        Where it stands in the file.
    composition
        Element symbol -> amount.
    energy
        Total energy in eV for the composition as given, corrections included.
    correction
        The part of it that is a correction, eV.
    engine, functional
        What its parameters say; None where they say nothing.
    scheme
        Correction scheme of its energy adjustments (``mp2020``, or the name that another one has); None without any.
    """

    id: str
    place: str
    composition: dict[str, float]
    energy: float
    correction: float
    engine: str | None
    functional: str | None
    scheme: str | None


def read_entry(content: Any, place: str) -> ReferenceEntry:
    """Read one dictionary.

    Raises
    ------
    EntryError
        If it is no entry, or has no finite energy, no composition, or amounts that are no positive numbers.
    """
    if not isinstance(content, dict):
        raise EntryError(f"holds {str(content)[:40]!r}; right: a dictionary as ComputedEntry.as_dict() writes it")
    kind = content.get("@class", "ComputedEntry")
    if kind not in _CLASSES:
        raise EntryError(f"is a {kind}; right: {' or '.join(sorted(_CLASSES))}")
    parameters = content.get("parameters") or {}
    if not isinstance(parameters, dict):
        raise EntryError("has parameters that are no dictionary")
    composition = _composition(content)
    correction, scheme = _correction(content)
    return ReferenceEntry(
        id=entry_id(content, place),
        place=place,
        composition=composition,
        energy=_number(content, "energy") + correction,
        correction=correction,
        engine=_engine(parameters),
        functional=_functional(parameters),
        scheme=scheme,
    )


def entry_id(content: Any, place: str) -> str:
    """The id of an entry, or its place in the file where it has none."""
    given = content.get("entry_id") if isinstance(content, dict) else None
    return place if given is None else str(given)


def _number(content: Mapping[str, Any], key: str) -> float:
    value = content.get(key)
    if value is None:
        raise EntryError(f"has no {key}; right: the total energy in eV for its composition")
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise EntryError(f"has the {key} {str(value)[:40]!r}; right: a finite number in eV")
    return float(value)


def _composition(content: Mapping[str, Any]) -> dict[str, float]:
    given = content.get("composition")
    if given is None and "structure" in content:
        given = _structure_composition(content["structure"])
    if isinstance(given, str):
        given = _formula(given)
    if not isinstance(given, dict) or not given:
        raise EntryError("has no composition; right: element symbols with their amounts")
    amounts: dict[str, float] = {}
    for key, amount in given.items():
        if key.startswith("@"):
            continue
        symbol = _symbol(key)
        if isinstance(amount, bool) or not isinstance(amount, int | float) or not 0 < amount < math.inf:
            raise EntryError(f"has {amount!r} of {symbol} in its composition; right: a positive number")
        amounts[symbol] = amounts.get(symbol, 0.0) + float(amount)
    return amounts


def _symbol(species: str) -> str:
    match = _SPECIES.fullmatch(species)
    if match is None or match[1] not in symbols():
        raise EntryError(f"has {species!r} in its composition, which is no element from H to Rg")
    return match[1]


def _formula(formula: str) -> dict[str, float]:
    try:
        return dict(Composition(formula).get_el_amt_dict())
    except ValueError as error:
        raise EntryError(f"has the composition {formula!r}, which is no formula") from error


def _structure_composition(structure: Any) -> dict[str, float]:
    """Count the atoms of a structure's dictionary without building the structure."""
    amounts: dict[str, float] = {}
    try:
        for site in structure["sites"]:
            for species in site["species"]:
                symbol = _symbol(species["element"])
                amounts[symbol] = amounts.get(symbol, 0.0) + species["occu"]
    except (KeyError, TypeError) as error:
        raise EntryError("has no composition, and no structure that it could be counted from") from error
    return amounts


def _correction(content: Mapping[str, Any]) -> tuple[float, str | None]:
    """The sum of the corrections in eV, and the scheme that they are of."""
    adjustments = content.get("energy_adjustments") or []
    given = _number(content, "correction") if content.get("correction") is not None else None
    if not adjustments:
        if given is None or math.isclose(given, 0.0, abs_tol=_AGREE):
            return 0.0, None
        # written before pymatgen named its corrections
        return given, "a correction without a name"
    if not isinstance(adjustments, list) or not all(isinstance(adjustment, dict) for adjustment in adjustments):
        raise EntryError("has energy_adjustments that are no list of dictionaries")
    total = math.fsum(_adjustment(adjustment) for adjustment in adjustments)
    if given is not None and not math.isclose(total, given, abs_tol=_AGREE):
        raise EntryError(f"has the correction {given:g} eV, but its energy_adjustments make {total:g} eV")
    schemes = sorted({_scheme(adjustment) for adjustment in adjustments})
    return total, " and ".join(schemes)


def _adjustment(adjustment: Mapping[str, Any]) -> float:
    """Value of a pymatgen EnergyAdjustment in eV, by the fields that its three kinds have."""
    if "adj_per_atom" in adjustment:
        return _number(adjustment, "adj_per_atom") * _number(adjustment, "n_atoms")
    if "adj_per_deg" in adjustment:
        factors = (_number(adjustment, key) for key in ("adj_per_deg", "temp", "n_atoms"))
        return math.prod(factors)
    return _number(adjustment, "value")


def _scheme(adjustment: Mapping[str, Any]) -> str:
    name = str(adjustment.get("name") or adjustment.get("@class") or "a correction without a name")
    made_by = adjustment.get("cls")
    made_by = made_by.get("@class") if isinstance(made_by, dict) else None
    if name.startswith("MP2020 ") and made_by in (None, "MaterialsProject2020Compatibility"):
        return "mp2020"
    return str(made_by or name)


def _engine(parameters: Mapping[str, Any]) -> str | None:
    """The program that computed an entry, from the parameters that pymatgen and emmet keep."""
    said = sorted(set(_engines(parameters)))
    if len(said) > 1:
        raise EntryError(f"has parameters of {' and of '.join(said)}; right: those of one engine")
    return said[0] if said else None


def _engines(parameters: Mapping[str, Any]) -> Iterator[str]:
    for key in ("engine", "software"):
        if parameters.get(key):
            yield str(parameters[key]).strip().lower()
    titles = [str(title) for title in parameters.get("potcar_symbols") or () if title]
    titles += [str(found.get("titel")) for found in parameters.get("potcar_spec") or () if isinstance(found, dict)]
    # the program vasp-gpaw names itself in both places
    for text in (str(parameters.get("vasp_version") or ""), " ".join(titles)):
        if text:
            yield "gpaw" if "gpaw" in text.lower() else "vasp"


def _functional(parameters: Mapping[str, Any]) -> str | None:
    run_type = parameters.get("run_type")
    if run_type is None:
        return "GGA+U" if parameters.get("is_hubbard") or parameters.get("hubbards") else None
    return functional_of(str(run_type))


def functional_of(run_type: str) -> str:
    """Name of the functional that a run type stands for: VASP's GGA is PBE in the Materials Project."""
    return "PBE" if run_type in ("GGA", "PBE") else run_type
