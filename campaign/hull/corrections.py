"""Energy corrections of candidates, computed phases and predictions, to match references of the same scheme.

``none``: uncorrected energies. ``mp2020``: corrections of the Materials Project, A. Wang et al., Sci. Rep. 11 (2021)
15496 (pymatgen's MaterialsProject2020Compatibility), for oxides, sulphides and other compounds with anions.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from esnet.dataset.mp2020 import Corrected, corrected_energy

RELAXED_FIELDS = ("composition", "relaxation.energy", "relaxation.hubbards", "relaxation.structure")
"""Fields of a relaxed document read by `corrected_energies`."""


def relaxed_fields(scheme: str) -> list[str]:
    """Return the fields to read of a relaxed document; the large structures are only needed for corrections."""
    return [field for field in RELAXED_FIELDS if scheme != "none" or field != "relaxation.structure"]


def corrected_energies(documents: Iterable[Mapping[str, Any]], scheme: str) -> list[Corrected]:
    """Return energies of relaxed candidates or references under a correction scheme.

    Parameters
    ----------
    documents
        Documents with the fields of `relaxed_fields`; PBE, with the Hubbard U of each (``relaxation.hubbards``).
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
