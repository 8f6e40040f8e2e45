"""What an actor does with one batch: features in, predictions out; the only part of scoring that runs a network."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from esnet.bundle.bundle import Assessment, Bundle
from esnet.bundle.networks import ScaledFeatures
from esnet.representation.checks import finite_samples
from esnet.representation.composition import N_ELEMENTS
from esnet.representation.dos import DOS_SHAPE
from esnet.scoring.prediction import Prediction

ReadFeatures = Callable[[Sequence[str]], tuple[Sequence[str], NDArray[np.floating], NDArray[np.floating]]]
"""Reads features of candidates: ids -> the ids found, their dos (n, 2, 1500, 9), their compositions (n, 111).

It is sent to the actors, so it must be picklable, and must open its own connections there.
"""


class ScoringError(RuntimeError):
    """Candidates that could not be scored; the message names them and the last cause."""


@dataclass(frozen=True)
class Batch:
    """Features of candidates, read, looked at and scaled.

    Attributes
    ----------
    ids
        All candidates that were asked for, n of them.
    reasons
        Why there is no prediction, for those without usable features.
    usable
        The others, m of them.
    features
        Of the usable ones; None where there is none.
    """

    ids: list[str]
    reasons: dict[str, str]
    usable: list[str]
    features: ScaledFeatures | None


def read_batch(ids: Sequence[str], *, bundle: Bundle, read_features: ReadFeatures) -> Batch:
    """Read the features of different candidates and scale them: what needs no network, and can be done beside one.

    Raises
    ------
    ScoringError
        If ``read_features`` gives other ids or shapes than it should.
    """
    found, dos, compositions = read_features(ids)
    found = [str(name) for name in found]
    dos, compositions = np.asarray(dos), np.asarray(compositions)
    _check(ids, found, dos, compositions)
    reasons = dict.fromkeys(set(ids) - set(found), "no features are stored for it")
    if found:
        finite = finite_samples(dos) & finite_samples(compositions)
        if not finite.all():
            reasons |= {found[place]: "its features are not finite" for place in np.flatnonzero(~finite)}
            dos, compositions = dos[finite], compositions[finite]
    usable = [name for name in found if name not in reasons]
    return Batch(list(ids), reasons, usable, bundle.networks.scale(dos, compositions) if usable else None)


def predict_batch(batch: Batch, *, bundle: Bundle, batch_size: int = 256) -> list[Prediction]:
    """Predict for features that `read_batch` read for the same bundle; one prediction for each id, in the order asked.

    A candidate without usable features has no energy and the reason.
    """
    answers = {name: Prediction(name, None, reason) for name, reason in batch.reasons.items()}
    if batch.features is not None:
        assessment = bundle.assess_scaled(batch.features, batch_size=batch_size)
        answers |= {name: _prediction(name, assessment, row) for row, name in enumerate(batch.usable)}
    return [answers[name] for name in batch.ids]


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
        raise ScoringError("read_features returned ids that were not requested, or one of them twice")
    if found and (dos.shape != (len(found), *DOS_SHAPE) or compositions.shape != (len(found), N_ELEMENTS)):
        raise ScoringError(
            f"read_features gave dos {dos.shape} and compositions {compositions.shape} for {len(found)} ids"
        )
