"""What corrects predictions: offsets of the elements, and the scale of the uncertainty."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, Self

import numpy as np

from campaign.recalibration.offsets import Offsets

LEAST_SCALE = 1e-3
"""Smallest factor of a standard deviation, or smallest one (eV/atom): of predictions that agree to all digits."""


@dataclass(frozen=True, kw_only=True)
class Sample:
    """A candidate that was predicted and relaxed.

    Attributes
    ----------
    id
        Its name, different for each.
    fractions
        Atomic fractions by element.
    predicted, calculated
        Formation energy per atom: the scorer's own, and that of the relaxation, eV/atom.
    uncertainty
        Standard deviation that the scorer gave, eV/atom; None: none.
    weight
        How many candidates it stands for: 1 / (share of the audit) for one of the audit sample, else 1.
    """

    id: str
    fractions: Mapping[str, float]
    predicted: float
    calculated: float
    uncertainty: float | None = None
    weight: float = 1.0

    @property
    def group(self) -> str:
        """Its chemical system, which is held out as a whole."""
        return "-".join(sorted(self.fractions))

    @property
    def deviation(self) -> float:
        """What its error is measured in: the scorer's standard deviation, eV/atom; 1 eV/atom where it gave none."""
        return 1.0 if self.uncertainty is None else max(self.uncertainty, LEAST_SCALE)


class Corrected(NamedTuple):
    """A prediction after its correction: formation energy and standard deviation, eV/atom."""

    energy: float
    uncertainty: float | None


class Errors(NamedTuple):
    """How far predictions are from relaxations: mean and median absolute error, eV/atom.

    ``within`` is the share of them within one standard deviation (of 0.68 that should be); None without any.
    """

    mae: float
    median: float
    within: float | None


@dataclass(frozen=True, kw_only=True)
class Fit:
    """A correction of a scorer's predictions, and the trial of it.

    Attributes
    ----------
    n, n_groups
        Relaxations that it was made of, and how many parts were formed of them so that none was split: chemical
        systems, or single candidates where there are few systems.
    offsets
        Of the elements; None: they would not make predictions more accurate, or there was too little.
    scale
        Factor of the scorer's standard deviation, or where it gives none the standard deviation itself, eV/atom; None:
        it stays as the scorer gives it. The doubt about the offsets comes on top of it.
    before, after
        Errors of the held-out relaxations without and with a correction; None where nothing was tried.
    folds
        Of each fold: how many were held out, and their mean absolute error without and with offsets, used or not.
    reason
        Why it is as it is, in words and numbers.
    """

    n: int
    n_groups: int
    offsets: Offsets | None = None
    scale: float | None = None
    before: Errors | None = None
    after: Errors | None = None
    folds: tuple[Mapping[str, float], ...] = ()
    reason: str = ""

    @property
    def is_on(self) -> bool:
        """Whether it corrects anything."""
        return self.offsets is not None or self.scale is not None

    def correct(self, fractions: Mapping[str, float], energy: float, uncertainty: float | None) -> Corrected:
        """Correct a prediction.

        Parameters
        ----------
        fractions
            Atomic fractions of the candidate by element.
        energy, uncertainty
            Formation energy per atom and its standard deviation, as the scorer gives them, eV/atom.
        """
        shift = 0.0 if self.offsets is None else self.offsets.shift(fractions)
        if uncertainty is None and (self.scale is None or self._has_deviations):
            return Corrected(energy + shift, None)  # nothing is known, or the scorer says that it cannot tell
        noise = (1.0 if self.scale is None else self.scale) * (1.0 if uncertainty is None else uncertainty)
        doubt = 0.0 if self.offsets is None else self.offsets.variance(fractions)
        return Corrected(energy + shift, float(np.sqrt(noise**2 + doubt)))

    @property
    def _has_deviations(self) -> bool:
        return self.before is not None and self.before.within is not None

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON types, to be stored."""
        offsets = self.offsets and {
            "elements": list(self.offsets.elements),
            "mean": self.offsets.mean.tolist(),  # eV/atom
            "covariance": self.offsets.covariance.tolist(),  # eV^2/atom^2
            "prior_variance": self.offsets.prior_variance,  # eV^2/atom^2
        }
        return {
            **{name: getattr(self, name) for name in ("n", "n_groups", "scale", "reason")},
            "offsets": offsets,
            "before": self.before and self.before._asdict(),
            "after": self.after and self.after._asdict(),
            "folds": [dict(fold) for fold in self.folds],
        }

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> Self:
        """Read what `to_dict` returned."""
        offsets = stored["offsets"] and Offsets(
            elements=tuple(stored["offsets"]["elements"]),
            mean=np.array(stored["offsets"]["mean"]),
            covariance=np.array(stored["offsets"]["covariance"]),
            prior_variance=stored["offsets"]["prior_variance"],
        )
        return cls(
            **{name: stored[name] for name in ("n", "n_groups", "scale", "reason")},
            offsets=offsets,
            before=stored["before"] and Errors(**stored["before"]),
            after=stored["after"] and Errors(**stored["after"]),
            folds=tuple(stored["folds"]),
        )
