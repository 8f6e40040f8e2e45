"""Which fit corrects the predictions of a Screen."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from campaign.recalibration.fit import Fit
from campaign.store.campaigns import Campaign
from campaign.store.documents import StepDocument
from campaign.store.recalibration.fits import find_fit, fits_newest_first, recalibration_of_predictions


@dataclass(frozen=True)
class Correction:
    """A fit that corrects something, and the id of the step that made it."""

    step: str
    fit: Fit

    @classmethod
    def of_step(cls, document: StepDocument | None) -> Self | None:
        """Read it from the step that made it; None where it corrects nothing."""
        fit = None if document is None else Fit.from_dict(document["fit"])
        return None if document is None or fit is None or not fit.is_on else cls(document["_id"], fit)


def fitted_to(campaign: Campaign) -> dict[str, Any]:
    """What predicts in a campaign now: a fit corrects predictions of the scorer and the model that it was made of."""
    return {"scorer": campaign.spec.scorer.identity(campaign), "model": campaign.model_checksum}


def is_of_same(found: Mapping[str, Any], present: Mapping[str, Any]) -> bool:
    """Whether a stored fit or prediction is of the same scorer and model as another, or as `fitted_to` says.

    The versions of libraries are stored, and not compared: what predicts is the model with its settings. Else a fit
    would be over with each update, and nodes with different builds would discard each other's predictions in turn.
    """
    return _comparable(found) == _comparable(present)


def _comparable(found: Mapping[str, Any]) -> dict[str, Any]:
    scorer = {key: value for key, value in (found.get("scorer") or {}).items() if key != "versions"}
    return {"scorer": scorer, "model": found.get("model")}


def current_correction(campaign: Campaign) -> Correction | None:
    """What corrects predictions of the campaign's scorer and model now; None: nothing does.

    Without `screening.recalibrate_every` nothing does, whatever was fitted before.
    """
    fits = [] if campaign.spec.screening.recalibrate_every is None else fits_newest_first(campaign)
    if not fits:
        return None
    present = fitted_to(campaign)
    return Correction.of_step(next((step for step in fits if is_of_same(step["fitted_to"], present)), None))


def correction_of_step(campaign: Campaign, step_id: str) -> Correction | None:
    """The correction of a Screen's predictions: the one with which it started, otherwise the current one.

    A Screen that was killed half-way and is run again after another fit would mix two otherwise.
    """
    has_begun, used = recalibration_of_predictions(campaign, step_id)
    if not has_begun:
        return current_correction(campaign)
    return None if used is None else Correction.of_step(find_fit(campaign, used))
