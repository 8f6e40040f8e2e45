"""What the network takes: scaled channels and the composition vector, and how both were made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from esnet.representation.checks import check_features
from esnet.representation.composition import CompositionMode, check_mode
from esnet.representation.dos import EnergyReference, Normalisation, check_options
from esnet.representation.errors import RepresentationError
from esnet.representation.scaling import ChannelScaler


@dataclass(frozen=True, kw_only=True)
class Representation:
    """How features were made; stored with a model, which reads no other features.

    Attributes
    ----------
    normalisation
        What the site sum of the DOS is divided by (see `esnet.representation.dos.project_dos`).
    energy_reference
        ``absolute`` energies, or relative to the ``fermi`` level.
    composition
        ``presence`` (1 where an element is present) or ``fraction`` (atomic fraction).
    """

    normalisation: Normalisation = "atom"
    energy_reference: EnergyReference = "absolute"
    composition: CompositionMode = "presence"

    def __post_init__(self) -> None:
        check_options(normalisation=self.normalisation, energy_reference=self.energy_reference)
        check_mode(self.composition)

    def to_dict(self) -> dict[str, str]:
        """Return the settings as JSON takes them."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Read what `to_dict` wrote; ValueError names a key that is missing or not known."""
        names = {field.name for field in fields(cls)}
        if set(data) != names:
            raise ValueError(f"representation has the keys {sorted(data)}, must have {sorted(names)}")
        return cls(**data)

    def require(self, other: Representation) -> None:
        """Raise RepresentationError, naming what differs, unless ``other`` is the same."""
        mine, theirs = self.to_dict(), other.to_dict()
        differing = [
            f"{name}: the model has {mine[name]!r}, requested is {theirs[name]!r}"
            for name in mine
            if mine[name] != theirs[name]
        ]
        if differing:
            raise RepresentationError("another representation than the model's: " + "; ".join(differing))


def network_inputs(
    dos: ArrayLike, compositions: ArrayLike, *, scaler: ChannelScaler, ids: Sequence[str] | None = None
) -> dict[str, NDArray[np.float32]]:
    """Stack candidates to the network's three inputs; ``ids`` name them in the error messages.

    Parameters
    ----------
    dos
        Shape (n, 2, 1500, 9), not scaled.
    compositions
        Shape (n, 111).

    Returns
    -------
    dict
        ``up`` (n, 1500, 9), ``down`` (n, 1500, 9) and ``composition`` (n, 111), float32.

    Raises
    ------
    FeatureError
        If a shape is another or a value is not finite; the message names the array and the candidates.
    """
    checked, vectors = check_features(dos, compositions, ids=ids)
    scaled = scaler._scaled(checked)
    return {
        "up": np.ascontiguousarray(scaled[:, 0]),
        "down": np.ascontiguousarray(scaled[:, 1]),
        "composition": vectors,
    }
