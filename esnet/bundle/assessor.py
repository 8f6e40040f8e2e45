"""The parts of a bundle other than its networks: uncertainty of predictions, and information on the training data."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from esnet.bundle.files import ASSESSMENT, ASSESSMENT_ARRAYS, BundleError, read_json, write_json
from esnet.bundle.fingerprints import TrainingFingerprints
from esnet.bundle.networks import Outputs
from esnet.bundle.novelty import NoveltyReference
from esnet.bundle.uncertainty import Calibration
from esnet.representation.composition import ELEMENTS, N_ELEMENTS

NOVEL = 1.0
"""Novelty above which a material counts as unlike the training data."""

_SAID = ("e_form", "uncertainty", "spread", "novelty")


@dataclass(frozen=True, kw_only=True)
class Assessment:
    """Predictions of a bundle for n materials; NaN where the bundle gives no value.

    Attributes
    ----------
    e_form
        Formation energies of the relaxed crystals, eV/atom, shape (n,); for an ensemble, the mean of its members.
    uncertainty
        Calibrated standard deviations, eV/atom, shape (n,). NaN also for a material with an unseen element: its
        prediction depends on the networks' random initial weights, and the members of an ensemble may agree on it by
        chance.
    spread
        Uncalibrated standard deviation of an ensemble's members, eV/atom, shape (n,).
    novelty
        Distance to the training set, shape (n,); 1 or less for 95 % of the training set.
    unseen
        Whether the material has an element absent from the training samples, shape (n,); None if unknown.

    Examples
    --------
    >>> import esnet
    >>> import numpy as np
    >>> two, seen = np.array([0.2, 1.5]), np.array([False, False])
    >>> esnet.Assessment(e_form=two, uncertainty=two, spread=two, novelty=two, unseen=seen).novel.tolist()
    [False, True]
    """

    e_form: NDArray[np.float64]
    uncertainty: NDArray[np.float64]
    spread: NDArray[np.float64]
    novelty: NDArray[np.float64]
    unseen: NDArray[np.bool_] | None

    @cached_property
    def novel(self) -> NDArray[np.bool_] | None:
        """Whether a material is novel: an unseen element, or a novelty above 1; shape (n,), or None if unknown."""
        return None if self.unseen is None else self.unseen | (self.novelty > NOVEL)

    def take(self, rows: NDArray[np.intp]) -> Assessment:
        """Return the assessment of some of the materials.

        Parameters
        ----------
        rows
            Indices among the n materials, shape (k,).

        Returns
        -------
        Assessment
            Assessment of the k materials, in this order.

        Raises
        ------
        IndexError
            If an index is out of range.

        Examples
        --------
        >>> import esnet
        >>> import numpy as np
        >>> two = np.array([-0.3, 0.1])
        >>> said = esnet.Assessment(e_form=two, uncertainty=two, spread=two, novelty=two, unseen=None)
        >>> said.take(np.array([1])).e_form.tolist()
        [0.1]
        """
        arrays = {name: getattr(self, name)[rows] for name in _SAID}
        return Assessment(**arrays, unseen=None if self.unseen is None else self.unseen[rows])

    @classmethod
    def joined(cls, parts: Iterable[Assessment]) -> Self:
        """Join assessments by the same bundle.

        Parameters
        ----------
        parts
            Assessments, at least one.

        Returns
        -------
        Assessment
            Assessment of all their materials, in order.

        Raises
        ------
        ValueError
            If there are no assessments.

        Examples
        --------
        >>> import esnet
        >>> import numpy as np
        >>> two = np.array([-0.3, 0.1])
        >>> said = esnet.Assessment(e_form=two, uncertainty=two, spread=two, novelty=two, unseen=None)
        >>> esnet.Assessment.joined([said, said]).e_form.shape
        (4,)
        """
        blocks = list(parts)
        arrays = {name: np.concatenate([getattr(block, name) for block in blocks]) for name in _SAID}
        unseen = [block.unseen for block in blocks if block.unseen is not None]
        return cls(**arrays, unseen=np.concatenate(unseen) if len(unseen) == len(blocks) else None)


@dataclass(frozen=True, kw_only=True)
class UncertaintyEstimator:
    """Converts the networks' output into an `Assessment`.

    Attributes
    ----------
    element_counts
        Number of training samples with each element, shape (111,).
    seen
        Fingerprints of the samples that the networks were fitted to.
    calibration
        Calibration of the uncertainties; None if there were too few samples.
    reference
        Reference of the novelty, or None.
    details
        Further information in JSON types (see `esnet.training.ensemble`).
    """

    element_counts: NDArray[np.int64]
    seen: TrainingFingerprints
    calibration: Calibration | None
    reference: NoveltyReference | None
    details: Mapping[str, Any]

    def assess(self, outputs: Outputs, compositions: NDArray[np.floating]) -> Assessment:
        """Assess n materials from the networks' outputs and composition vectors of shape (n, 111)."""
        plain = without_assessor(outputs)
        unseen = has_unseen(compositions, self.element_counts)
        novelty = plain.novelty if self.reference is None else self.reference.novelty(outputs.hidden)
        uncertainty = plain.uncertainty
        if self.calibration is not None:
            signals = {"spread": plain.spread**2, "novelty": novelty, "constant": plain.e_form}
            uncertainty = np.where(unseen, np.nan, self.calibration.std(signals[self.calibration.signal]))
        return Assessment(
            e_form=plain.e_form, uncertainty=uncertainty, spread=plain.spread, novelty=novelty, unseen=unseen
        )

    def summary(self) -> dict[str, Any]:
        """Return everything but the arrays in JSON types."""
        return {
            **self.details,
            "elements": {
                ELEMENTS[place]: int(self.element_counts[place]) for place in np.flatnonzero(self.element_counts)
            },
            "uncertainty": None if self.calibration is None else self.calibration.to_dict(),
            "novelty": None if self.reference is None else self.reference.to_dict(),
        }

    def write(self, folder: Path) -> None:
        """Write both files into a bundle's directory."""
        write_json(folder / ASSESSMENT, self.summary())
        arrays: dict[str, Any] = self.seen.arrays()
        if self.reference is not None:
            arrays |= self.reference.arrays()
        np.savez(folder / ASSESSMENT_ARRAYS, allow_pickle=False, **arrays)

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Read both files of a bundle, whose checksums are already verified; BundleError if they cannot be used."""
        summary = read_json(folder / ASSESSMENT)
        try:
            with np.load(folder / ASSESSMENT_ARRAYS, allow_pickle=False) as stored:
                arrays = {name: stored[name] for name in stored.files}
            counts = np.zeros(N_ELEMENTS, dtype=np.int64)
            for symbol, count in summary.pop("elements").items():
                counts[ELEMENTS.index(symbol)] = count
            uncertainty, novelty = summary.pop("uncertainty"), summary.pop("novelty")
            return cls(
                element_counts=counts,
                seen=TrainingFingerprints.from_arrays(arrays),
                calibration=None if uncertainty is None else Calibration.from_dict(uncertainty),
                reference=None if novelty is None else NoveltyReference.from_parts(arrays, novelty),
                details=summary,
            )
        except (OSError, KeyError, TypeError, ValueError) as error:
            raise BundleError(f"{folder}: {ASSESSMENT} or {ASSESSMENT_ARRAYS} cannot be used: {error}") from error


def has_unseen(compositions: NDArray[np.floating], element_counts: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Return which materials, shape (n, 111), have an element absent from the training samples."""
    unseen: NDArray[np.bool_] = ((np.asarray(compositions) > 0) & (element_counts == 0)).any(axis=1)
    return unseen


def count_numbers_of_elements(compositions: NDArray[np.floating]) -> dict[str, int]:
    """Return the number of materials, shape (n, 111), by number of elements: ``{"2": 90, "3": 12}``."""
    numbers, counts = np.unique((np.asarray(compositions) > 0).sum(axis=1), return_counts=True)
    return {str(number): int(count) for number, count in zip(numbers, counts, strict=True)}


def without_assessor(outputs: Outputs) -> Assessment:
    """Return an assessment of energies only, with the spread of an ensemble."""
    members, number = outputs.energies.shape
    unknown = np.full(number, np.nan)
    return Assessment(
        e_form=outputs.energies.mean(axis=0),
        uncertainty=unknown,
        spread=outputs.energies.std(axis=0, ddof=1) if members > 1 else unknown,
        novelty=unknown,
        unseen=None,
    )
