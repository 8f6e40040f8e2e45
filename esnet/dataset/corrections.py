"""Energy corrections contained in the formation energies of a data set and of a model trained on it.

``none``: uncorrected DFT energies. ``mp2020``: with the corrections of the Materials Project (A. Wang et al., Sci. Rep.
11 (2021) 15496). Energies with different corrections are never compared (docs/reference/inputs.md).
"""

from collections.abc import Mapping
from typing import Any

from esnet.files.errors import UserError

SCHEMES = ("none", "mp2020")


class CorrectionsError(UserError, ValueError):
    """Energies with different corrections would be compared."""


def stated_corrections(source: Mapping[str, Any]) -> str | None:
    """Return the corrections that the source of a data set states, or None.

    Sources of version 0.1 have no such field. Data fetched from the Materials Project contain mp2020; a campaign with
    GPAW computes its own references and applies no corrections, because these were fitted to VASP energies.
    """
    if (stated := source.get("corrections")) in SCHEMES:
        return str(stated)
    if source.get("kind") == "Materials Project":
        return "mp2020"
    return "none" if (source.get("kind"), source.get("engine")) == ("campaign", "gpaw") else None


def format_corrections(corrections: str | None) -> str:
    """Return a description of the corrections contained in formation energies."""
    if corrections == "none":
        return "none: uncorrected DFT energies"
    return "not stated" if corrections is None else f"{corrections}: contained in the formation energies"


def require_same_corrections(model: Mapping[str, Any], data: Mapping[str, Any]) -> None:
    """Refuse to compare a model with data that contain different corrections; unstated corrections are accepted.

    Parameters
    ----------
    model, data
        Source of the model's training data (`esnet.bundle.record.TrainingRecord.data_source`), and of the data set.

    Raises
    ------
    CorrectionsError
        If they differ; the message names both.
    """
    predicted, given = stated_corrections(model), stated_corrections(data)
    if None not in (predicted, given) and predicted != given:
        raise CorrectionsError(
            f"the model predicts formation energies with the corrections {predicted}, but those of the data set have "
            f"the corrections {given}; their differences would be the corrections, not errors. Right: data with the "
            "same corrections (esnet fetch-mp --corrections)"
        )
