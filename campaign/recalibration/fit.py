"""The correction of predictions: offsets of the elements, and the scale of the uncertainty."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, Self

import numpy as np

from campaign.recalibration.offsets import Offsets

LEAST_SCALE = 1e-3
"""Smallest factor of a standard deviation, or smallest deviation (eV/atom), for predictions that agree to all
digits.
"""


@dataclass(frozen=True, kw_only=True)
class Sample:
    """A candidate with a prediction and a relaxation.

    Attributes
    ----------
    id
        Unique name.
    fractions
        Atomic fractions by element.
    predicted, calculated
        Formation energy of the scorer and of the relaxation, eV/atom.
    uncertainty
        Standard deviation of the scorer, eV/atom, or None.
    weight
        Number of candidates it represents: 1 / (fraction of the audit) for one of the audit sample, otherwise 1.
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
        """Unit of its error: the scorer's standard deviation, eV/atom, or 1 eV/atom without one."""
        return 1.0 if self.uncertainty is None else max(self.uncertainty, LEAST_SCALE)


class Corrected(NamedTuple):
    """A corrected prediction: formation energy and standard deviation, eV/atom."""

    energy: float
    uncertainty: float | None


class Errors(NamedTuple):
    """Mean and median absolute error of predictions, eV/atom.

    ``within`` is the fraction within one standard deviation (ideally 0.68); None without deviations.
    """

    mae: float
    median: float
    within: float | None


@dataclass(frozen=True, kw_only=True)
class Fit:
    """A correction of a scorer's predictions, with its cross-validation.

    Attributes
    ----------
    n, n_groups
        Number of relaxations it was fitted to, and of groups that were not split: chemical systems, or single
        candidates if there are few systems.
    offsets
        Offsets of the elements; None if they do not improve predictions, or data are insufficient.
    scale
        Factor of the scorer's standard deviation, or the standard deviation itself, eV/atom, if the scorer gives none;
        None if unchanged. The uncertainty of the offsets is added to it.
    before, after
        Errors of the held-out relaxations without and with correction; None if nothing was tried.
    folds
        For each fold, the number held out and their mean absolute error without and with offsets, used or not.
    reason
        Reason for the result, in words and numbers.
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
        """Return a corrected prediction.

        Parameters
        ----------
        fractions
            Atomic fractions of the candidate by element.
        energy, uncertainty
            The scorer's formation energy and standard deviation, eV/atom.
        """
        shift = 0.0 if self.offsets is None else self.offsets.shift(fractions)
        if uncertainty is None and (self.scale is None or self._has_deviations):
            return Corrected(energy + shift, None)  # no deviation is known, or the scorer states that it cannot tell
        noise = (1.0 if self.scale is None else self.scale) * (1.0 if uncertainty is None else uncertainty)
        doubt = 0.0 if self.offsets is None else self.offsets.variance(fractions)
        return Corrected(energy + shift, float(np.sqrt(noise**2 + doubt)))

    @property
    def _has_deviations(self) -> bool:
        return self.before is not None and self.before.within is not None

    def to_dict(self) -> dict[str, Any]:
        """Return JSON types for storage."""
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
        """Create from the result of `to_dict`."""
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
