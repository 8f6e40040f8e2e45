"""What an actor does with one batch: features in, predictions out; the only part of scoring that runs a network."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from esnet.bundle import Assessment, Bundle
from esnet.dos import DOS_SHAPE
from esnet.features import N_ELEMENTS

ReadFeatures = Callable[[Sequence[str]], tuple[Sequence[str], NDArray[np.floating], NDArray[np.floating]]]
"""Reads features of candidates: ids -> the ids found, their dos (n, 2, 1500, 9), their compositions (n, 111).

It is sent to the actors, so it must be picklable, and must open its own connections there.
"""


class ScoringError(RuntimeError):
    """Candidates that could not be scored; the message names them and the last cause."""


@dataclass(frozen=True)
class Prediction:
    """What the model says of one candidate.

    Attributes
    ----------
    id
        The candidate's.
    e_form
        Formation energy of the relaxed crystal, eV/atom; None where there is no prediction.
    reason
        Why there is none; None where there is one.
    uncertainty
        Calibrated standard deviation of ``e_form``, eV/atom; None where the model cannot say.
    novel
        Whether the model has never seen the like (see `esnet.bundle.Assessment.novel`); None where it cannot say.
    """

    id: str
    e_form: float | None
    reason: str | None = None
    uncertainty: float | None = None
    novel: bool | None = None


def score_batch(
    ids: Sequence[str], *, bundle: Bundle, read_features: ReadFeatures, batch_size: int = 256
) -> list[Prediction]:
    """Read the features of candidates and predict.

    Parameters
    ----------
    ids
        Different candidates.
    bundle
        The trained model.
    read_features
        Called once, with all ids.
    batch_size
        Candidates that the network takes at once.

    Returns
    -------
    list of Prediction
        One for each id, in the order given. A candidate without usable features has no energy and the reason.

    Raises
    ------
    ScoringError
        If ``read_features`` gives other ids or shapes than it should.
    """
    found, dos, compositions = read_features(ids)
    found = [str(name) for name in found]
    dos, compositions = np.asarray(dos), np.asarray(compositions)
    _check(ids, found, dos, compositions)
    usable = np.zeros(0, dtype=np.intp)
    if found:
        finite = np.isfinite(dos).all(axis=(1, 2, 3)) & np.isfinite(compositions).all(axis=1)
        usable = np.flatnonzero(finite)
    answers = {name: Prediction(name, None, "its features are not finite") for name in found}
    if len(usable):
        assessment = bundle.assess(dos[usable], compositions[usable], batch_size=batch_size)
        answers |= {found[place]: _prediction(found[place], assessment, row) for row, place in enumerate(usable)}
    return [answers.get(name) or Prediction(name, None, "no features are stored for it") for name in ids]


def _prediction(name: str, assessment: Assessment, row: int) -> Prediction:
    energy = float(assessment.e_form[row])
    if not np.isfinite(energy):
        return Prediction(name, None, "the model gave no finite energy")
    uncertainty = float(assessment.uncertainty[row])
    return Prediction(
        name,
        energy,
        uncertainty=uncertainty if np.isfinite(uncertainty) else None,
        novel=None if assessment.novel is None else bool(assessment.novel[row]),
    )


def _check(ids: Sequence[str], found: list[str], dos: NDArray[Any], compositions: NDArray[Any]) -> None:
    if len(set(found)) != len(found) or not set(found) <= set(ids):
        raise ScoringError("read_features gave ids that were not asked for, or one of them twice")
    if found and (dos.shape != (len(found), *DOS_SHAPE) or compositions.shape != (len(found), N_ELEMENTS)):
        raise ScoringError(
            f"read_features gave dos {dos.shape} and compositions {compositions.shape} for {len(found)} ids"
        )
