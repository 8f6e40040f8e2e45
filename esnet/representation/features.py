"""Input of the network (scaled channels and composition vector), and its representation."""

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
    """How features are computed; stored with a model, which accepts no other features.

    Attributes
    ----------
    normalisation
        Divisor of the site sum of the DOS (see `esnet.representation.dos.project_dos`).
    energy_reference
        ``absolute`` energies, or relative to the ``fermi`` level.
    composition
        ``presence`` (1 if an element is present) or ``fraction`` (atomic fraction).
    """

    normalisation: Normalisation = "atom"
    energy_reference: EnergyReference = "absolute"
    composition: CompositionMode = "presence"

    def __post_init__(self) -> None:
        check_options(normalisation=self.normalisation, energy_reference=self.energy_reference)
        check_mode(self.composition)

    def to_dict(self) -> dict[str, str]:
        """Return the settings in JSON types."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Create from the result of `to_dict`; ValueError names a missing or unknown key."""
        names = {field.name for field in fields(cls)}
        if set(data) != names:
            raise ValueError(f"representation has the keys {sorted(data)}, must have {sorted(names)}")
        return cls(**data)

    def require(self, other: Representation) -> None:
        """Raise RepresentationError, naming the differences, unless ``other`` is the same."""
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
    """Return the network's three inputs for n candidates.

    Parameters
    ----------
    dos
        Unscaled densities, shape (n, 2, 1500, 9).
    compositions
        Composition vectors, shape (n, 111).
    scaler
        Scaler of the channels.
    ids
        Names of the candidates, for error messages.

    Returns
    -------
    dict
        ``up`` (n, 1500, 9), ``down`` (n, 1500, 9) and ``composition`` (n, 111), float32.

    Raises
    ------
    FeatureError
        If a shape is wrong or a value is not finite; the message names the array and the candidates.
    """
    checked, vectors = check_features(dos, compositions, ids=ids)
    scaled = scaler._scaled(checked)
    return {
        "up": np.ascontiguousarray(scaled[:, 0]),
        "down": np.ascontiguousarray(scaled[:, 1]),
        "composition": vectors,
    }
