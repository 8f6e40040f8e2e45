"""PAW data sets of VASP campaigns, by the titles (TITEL) in their POTCARs."""

from collections.abc import Iterable, Mapping
from functools import cache

from monty.serialization import loadfn
from pymatgen.io.vasp.inputs import POTCAR_STATS_PATH

FUNCTIONALS = ("PBE", "PBE_52", "PBE_54", "PBE_64")
"""pymatgen's names of the sets of POTCARs for PBE."""

#: Symbols of the Materials Project missing from later sets, with their replacement.
_REPLACED = {"W_pv": "W_sv"}


def potcar_symbol(element: str, functional: str) -> str:
    """Return the PAW data set of an element, e.g. ``Fe_pv``: the Materials Project's choice, if the set has it.

    Parameters
    ----------
    functional
        Set of POTCARs: PBE, PBE_52, PBE_54 or PBE_64.
    """
    symbol: str = _of_materials_project().get(element, element)
    if symbol in _REPLACED and not _titles_of(symbol, functional):
        return _REPLACED[symbol]
    return symbol


def potcar_symbols(functional: str) -> dict[str, str]:
    """Return POTCAR symbols by element for an input set: the Materials Project's, as far as the set has them."""
    return {element: potcar_symbol(element, functional) for element in _of_materials_project()}


def replaced_symbols(elements: Iterable[str], functional: str) -> dict[str, str]:
    """Return the Materials Project's symbols that a set lacks, with their replacements, for some elements."""
    chosen = {element: _of_materials_project().get(element, element) for element in elements}
    used = {element: potcar_symbol(element, functional) for element in chosen}
    return {chosen[element]: used[element] for element in sorted(chosen) if chosen[element] != used[element]}


def is_known_title(titel: str) -> bool:
    """Whether pymatgen knows a title in any set."""
    return bool(sets_with_title(titel))


def other_sets(titel: str, functional: str) -> list[str]:
    """Return the sets that a title belongs to if it does not belong to this one; otherwise empty."""
    found = sets_with_title(titel)
    return [] if functional in found else found


def potcar_titles(element: str, functional: str) -> frozenset[str]:
    """Return an element's POTCAR titles in a set, without spaces (``PAW_PBEFe_pv02Aug2007``); empty if unknown."""
    return _titles_of(potcar_symbol(element, functional), functional)


def sets_with_title(title: str) -> list[str]:
    """Return the sets of PBE POTCARs with a title, by pymatgen's names."""
    squeezed = "".join(title.split())
    return [name for name in FUNCTIONALS if squeezed in _known_titles(name)]


def _titles_of(symbol: str, functional: str) -> frozenset[str]:
    start = f"PAW_PBE{symbol}"
    return frozenset(
        title for title in _known_titles(functional) if title.startswith(start) and title[len(start) :][:1].isdigit()
    )


@cache
def _known_titles(functional: str) -> frozenset[str]:
    """Return pymatgen's list of all titles of a set, without spaces."""
    return frozenset(loadfn(POTCAR_STATS_PATH).get(functional, {}))


def _of_materials_project() -> Mapping[str, str]:
    """Return the POTCAR symbols of the Materials Project by element."""
    # imported on demand: takes two CPU-s, and most commands need no POTCAR
    from pymatgen.io.vasp.sets import MPRelaxSet

    symbols: Mapping[str, str] = MPRelaxSet.CONFIG["POTCAR"]
    return symbols
