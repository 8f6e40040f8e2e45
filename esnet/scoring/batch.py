"""Process one batch in an actor, from features to predictions; the only part of scoring that runs a network."""

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
"""Function that reads features of candidates: ids -> ids found, dos (n, 2, 1500, 9), compositions (n, 111).

It must be picklable, because it is sent to the actors, where it opens its own connections.
"""


class ScoringError(RuntimeError):
    """Candidates could not be scored; the message names them and the last cause."""


@dataclass(frozen=True)
class Batch:
    """Features of candidates: read, checked and scaled.

    Attributes
    ----------
    ids
        The n requested candidates.
    reasons
        Reasons why candidates have no usable features, by id.
    usable
        The m other candidates.
    features
        Features of the usable ones; None if there are none.
    """

    ids: list[str]
    reasons: dict[str, str]
    usable: list[str]
    features: ScaledFeatures | None


def read_batch(ids: Sequence[str], *, bundle: Bundle, read_features: ReadFeatures) -> Batch:
    """Read and scale the features of distinct candidates; needs no network, so it can run while one is predicting.

    Raises
    ------
    ScoringError
        If ``read_features`` returns unexpected ids or shapes.
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
    """Return one prediction per id, in order, from the result of `read_batch` with the same bundle.

    A candidate without usable features has a reason instead of an energy.
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
