"""Energy corrections of candidates, own phases and predictions, so that they meet references of the same scheme.

``none``: energies as computed. ``mp2020``: those of the Materials Project, A. Wang et al., Sci. Rep. 11 (2021) 15496
(pymatgen's MaterialsProject2020Compatibility), which correct oxides, sulphides and other compounds of anions.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from esnet.dataset.mp2020 import Corrected, corrected_energy

RELAXED_FIELDS = ("composition", "relaxation.energy", "relaxation.hubbards", "relaxation.structure")
"""Fields of a relaxed document that `corrected_energies` reads."""


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
        corrected_energy(
            float(found["relaxation"]["energy"]),
            found["composition"],
            found["relaxation"].get("structure"),
            found["relaxation"].get("hubbards") or {},
        )
        for found in documents
    ]
