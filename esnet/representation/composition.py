"""The composition vector: the elements of a material."""

from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from esnet.representation.errors import FeatureError

CompositionMode = Literal["presence", "fraction"]
_PERIODIC_TABLE = """
    H He Li Be B C N O F Ne Na Mg Al Si P S Cl Ar K Ca Sc Ti V Cr Mn Fe Co Ni Cu Zn Ga Ge As Se Br Kr
    Rb Sr Y Zr Nb Mo Tc Ru Rh Pd Ag Cd In Sn Sb Te I Xe Cs Ba La Ce Pr Nd Pm Sm Eu Gd Tb Dy Ho Er Tm Yb Lu
    Hf Ta W Re Os Ir Pt Au Hg Tl Pb Bi Po At Rn Fr Ra Ac Th Pa U Np Pu Am Cm Bk Cf Es Fm Md No Lr
    Rf Db Sg Bh Hs Mt Ds Rg
"""
ELEMENTS = tuple(_PERIODIC_TABLE.split())
"""Order of the composition vector: the elements by atomic number, H to Rg."""
N_ELEMENTS = len(ELEMENTS)

_PLACE = {symbol: place for place, symbol in enumerate(ELEMENTS)}


def composition_vector(composition: Any, *, mode: CompositionMode = "presence") -> NDArray[np.float32]:
    """Return the composition vector of a material.

    Parameters
    ----------
    composition
        pymatgen ``Composition``, or a mapping from element symbol to amount.
    mode
        ``presence``: 1 if the element is present; ``fraction``: its atomic fraction.

    Returns
    -------
    ndarray
        float32, shape (111,), in the order of `ELEMENTS`.

    Raises
    ------
    FeatureError
        If the composition is empty, an amount is not a positive number, or an element is not among H to Rg.
    """
    check_mode(mode)
    if not hasattr(composition, "items"):
        raise FeatureError(f"composition is {composition!r}: must be a pymatgen Composition or a mapping of amounts")
    vector = np.zeros(N_ELEMENTS)
    for element, amount in composition.items():
        symbol = str(getattr(element, "symbol", element))
        if symbol not in _PLACE:
            raise FeatureError(f"element {symbol!r} is not one of the {N_ELEMENTS} from H to Rg")
        if not (np.isfinite(amount) and amount > 0):
            raise FeatureError(f"amount of {symbol} is {amount!r}: must be a number above 0")
        vector[_PLACE[symbol]] += amount
    if not vector.any():
        raise FeatureError("composition is empty")
    if mode == "fraction":
        return np.asarray(vector / vector.sum(), dtype=np.float32)
    return np.asarray(vector > 0, dtype=np.float32)


def check_mode(mode: str) -> None:
    """Raise ValueError for an unknown kind of composition vector, listing the known ones."""
    if mode not in get_args(CompositionMode):
        raise ValueError(f"composition={mode!r}: must be one of {', '.join(get_args(CompositionMode))}")
