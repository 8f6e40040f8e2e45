"""Convert an entry's dictionary to composition, energy, and the information on how it was computed.

No pymatgen object is built: a file of 50,000 entries contains 50,000 structures that are not needed.
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
"""An element, optionally with its oxidation state: Fe, Fe3+, O2-."""
_AGREE = 1e-4
"""Largest difference in eV between ``correction`` and the sum of the energy adjustments; files are rounded."""

_TITLE_KINDS = {"PAW": "LDA", "US": "LDA", "LDA": "LDA", "PAW_GGA": "PW91", "PW91": "PW91", "PAW_PBE": "PBE"}
_LARGEST = 1e9
"""Upper limit in eV or atoms, which also excludes integers too large for a float."""
_LONGEST_FORMULA = 300

MP2020_MARK: dict[str, Any] = {
    "@module": "pymatgen.core.entries",
    "@class": "ConstantEnergyAdjustment",
    "value": 0.0,
    "name": "MP2020 corrections, contained in the energy",
}
"""Adjustment of an entry whose energy already contains the mp2020 corrections."""


class EntryError(ValueError):
    """An entry cannot be used; the message says what was found and what would be right."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReferenceEntry:
    """A phase of an entries file.

    Attributes
    ----------
    id
        The entry's id, or its place in the file if it has none.
    place
        Its place in the file.
    composition
        Element symbol -> amount.
    energy
        Total energy in eV for the composition as given, corrections included.
    correction
        Correction included in `energy`, eV.
    engine, functional
        As stated in its parameters, or None.
    paw_titles
        Titles of its PAW data sets, as far as stated.
    scheme
        Correction scheme of its energy adjustments (``mp2020`` or another name); None without any.
    """

    id: str
    place: str
    composition: dict[str, float]
    energy: float
    correction: float
    engine: str | None
    functional: str | None
    paw_titles: tuple[str, ...]
    scheme: str | None

    @property
    def energy_per_atom(self) -> float:
        """Total energy in eV/atom, corrections included."""
        return self.energy / sum(self.composition.values())


def read_entry(content: Any, place: str) -> ReferenceEntry:
    """Read an entry's dictionary.

    Raises
    ------
    EntryError
        If it is not an entry or lacks a finite energy, a composition, or positive amounts.
    """
    if not isinstance(content, dict):
        raise EntryError(f"holds {str(content)[:40]!r}; right: a dictionary as ComputedEntry.as_dict() writes it")
    kind = content.get("@class", "ComputedEntry")
    if not isinstance(kind, str) or kind not in _CLASSES:
        raise EntryError(f"is a {str(kind)[:40]}; right: {' or '.join(sorted(_CLASSES))}")
    parameters = content.get("parameters") or {}
    if not isinstance(parameters, dict):
        raise EntryError("has parameters that are not a dictionary")
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
        paw_titles=tuple(_titles(parameters)),
        scheme=scheme,
    )


def entry_id(content: Any, place: str) -> str:
    """Return the id of an entry, or its place in the file if it has none."""
    given = content.get("entry_id") if isinstance(content, dict) else None
    return place if given is None else str(given)


def _number(content: Mapping[str, Any], key: str) -> float:
    value = content.get(key)
    if value is None:
        raise EntryError(f"has no {key}; right: the total energy in eV for its composition")
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < _LARGEST:
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
        if isinstance(amount, bool) or not isinstance(amount, int | float) or not 0 < amount < _LARGEST:
            raise EntryError(f"has {str(amount)[:40]} of {symbol} in its composition; right: a positive number")
        amounts[symbol] = amounts.get(symbol, 0.0) + float(amount)
    return amounts


def _symbol(species: str) -> str:
    match = _SPECIES.fullmatch(species)
    if match is None or match[1] not in symbols():
        raise EntryError(f"has {species!r} in its composition, which is not an element from H to Rg")
    return match[1]


def _formula(formula: str) -> dict[str, float]:
    try:
        return dict(Composition(formula[:_LONGEST_FORMULA]).get_el_amt_dict())
    except (ValueError, LookupError, ArithmeticError) as error:
        raise EntryError(f"has the composition {formula[:40]!r}, which is not a formula") from error


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
    """Return the sum of the corrections in eV, and their scheme."""
    adjustments = content.get("energy_adjustments") or []
    given = _number(content, "correction") if content.get("correction") is not None else None
    if not adjustments:
        if given is None or math.isclose(given, 0.0, abs_tol=_AGREE):
            return 0.0, None
        # from before pymatgen named its corrections
        return given, "a correction without a name"
    if not isinstance(adjustments, list) or not all(isinstance(adjustment, dict) for adjustment in adjustments):
        raise EntryError("has energy_adjustments that are not a list of dictionaries")
    total = math.fsum(_adjustment(adjustment) for adjustment in adjustments)
    if given is not None and not math.isclose(total, given, abs_tol=_AGREE):
        raise EntryError(f"has the correction {given:g} eV, but its energy_adjustments make {total:g} eV")
    schemes = sorted({_scheme(adjustment) for adjustment in adjustments})
    return total, " and ".join(schemes)


def _adjustment(adjustment: Mapping[str, Any]) -> float:
    """Return the value of a pymatgen EnergyAdjustment in eV, from the fields of its three kinds."""
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
    """Return the program that computed an entry, from the parameters kept by pymatgen and emmet."""
    said = sorted(set(_engines(parameters)))
    if len(said) > 1:
        raise EntryError(f"has parameters of {' and of '.join(said)}; right: those of one engine")
    return said[0] if said else None


def _engines(parameters: Mapping[str, Any]) -> Iterator[str]:
    for key in ("engine", "software"):
        if parameters.get(key):
            yield str(parameters[key]).strip().lower()
    # vasp-gpaw names itself in both places
    for text in (str(parameters.get("vasp_version") or ""), " ".join(_titles(parameters))):
        if text:
            yield "gpaw" if "gpaw" in text.lower() else "vasp"


def _titles(parameters: Mapping[str, Any]) -> list[str]:
    """Return the titles of the PAW data sets, e.g. ``PAW_PBE W_pv 06Sep2000``, from both places where pymatgen keeps
    them.
    """
    symbols, specs = (_listed(parameters, key) for key in ("potcar_symbols", "potcar_spec"))
    return [
        *(str(title) for title in symbols if title),
        *(str(spec["titel"]) for spec in specs if isinstance(spec, dict) and spec.get("titel")),
    ]


def _listed(parameters: Mapping[str, Any], key: str) -> list[Any]:
    found = parameters.get(key)
    if found is not None and not isinstance(found, list):
        raise EntryError(f"has the {key} {str(found)[:40]!r}; right: a list")
    return found or []


def _functional(parameters: Mapping[str, Any]) -> str | None:
    """Return the functional given by the run type; other parameters must not contradict it."""
    run_type = parameters.get("run_type")
    has_u = parameters.get("is_hubbard") or any(_values(parameters.get("hubbards")))
    if run_type is None:
        functional = "GGA+U" if has_u else None
    else:
        functional = functional_of(str(run_type))
        if functional == "PBE" and has_u:
            raise EntryError(f"has the run_type {run_type} and a Hubbard U (hubbards, is_hubbard); right: one of them")
    for title in _titles(parameters):
        kind = _title_kind(title)
        if kind and functional in (None, "PBE", "GGA+U") and kind != "PBE":
            raise EntryError(f"has the PAW data set {title!r} of {kind}; right: those of PBE")
    return functional


def _values(hubbards: Any) -> list[Any]:
    return list(hubbards.values()) if isinstance(hubbards, dict) else []


def _title_kind(title: str) -> str | None:
    """Return the functional that a POTCAR's title names (``PAW Al 04Jan2001`` is LDA), or None."""
    return "GW" if "_GW" in title else _TITLE_KINDS.get(title.split()[0])


def functional_of(run_type: str) -> str:
    """Return the functional of a run type: VASP's GGA is PBE in the Materials Project."""
    return "PBE" if run_type in ("GGA", "PBE") else run_type
