"""Which PAW data sets a VASP campaign computes with, by the titles (TITEL) that stand in their POTCARs."""

from functools import cache

from monty.serialization import loadfn
from pymatgen.io.vasp.inputs import POTCAR_STATS_PATH
from pymatgen.io.vasp.sets import MPRelaxSet

#: Symbols of the Materials Project's choice that a later set does not have, and what replaces them there.
_REPLACED = {"W_pv": "W_sv"}


def potcar_symbol(element: str, functional: str) -> str:
    """The PAW data set of an element, e.g. ``Fe_pv``: the Materials Project's choice, where the set has it.

    Parameters
    ----------
    functional
        Set of POTCARs: PBE, PBE_52, PBE_54 or PBE_64.
    """
    symbol: str = MPRelaxSet.CONFIG["POTCAR"].get(element, element)
    if symbol in _REPLACED and not _titles_of(symbol, functional):
        return _REPLACED[symbol]
    return symbol


def potcar_titles(element: str, functional: str) -> frozenset[str]:
    """Titles that the POTCAR of an element has in a set, without spaces (``PAW_PBEFe_pv02Aug2007``); empty: unknown."""
    return _titles_of(potcar_symbol(element, functional), functional)


def sets_with_title(title: str) -> list[str]:
    """Sets of PBE POTCARs that have a title, by pymatgen's names."""
    squeezed = "".join(title.split())
    return [name for name in ("PBE", "PBE_52", "PBE_54", "PBE_64") if squeezed in _known_titles(name)]


def _titles_of(symbol: str, functional: str) -> frozenset[str]:
    start = f"PAW_PBE{symbol}"
    return frozenset(
        title for title in _known_titles(functional) if title.startswith(start) and title[len(start) :][:1].isdigit()
    )


@cache
def _known_titles(functional: str) -> frozenset[str]:
    """Pymatgen's list of all titles of a set, without spaces."""
    return frozenset(loadfn(POTCAR_STATS_PATH).get(functional, {}))
