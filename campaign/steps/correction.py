"""The fit that corrects the predictions of a Screen."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from campaign.recalibration.fit import Fit
from campaign.store.campaigns import Campaign
from campaign.store.documents import StepDocument
from campaign.store.recalibration.fits import find_fit, fits_newest_first, recalibration_of_predictions


@dataclass(frozen=True)
class Correction:
    """A fit in force, and the id of the step that made it."""

    step: str
    fit: Fit

    @classmethod
    def of_step(cls, document: StepDocument | None) -> Self | None:
        """Read the correction from the step that made it; None if it corrects nothing."""
        fit = None if document is None else Fit.from_dict(document["fit"])
        return None if document is None or fit is None or not fit.is_on else cls(document["_id"], fit)


def fitted_to(campaign: Campaign) -> dict[str, Any]:
    """Return the scorer and model that predict now; a fit only corrects predictions of the ones it was made with."""
    return {"scorer": campaign.spec.scorer.identity(campaign), "model": campaign.model_checksum}


def is_of_same(found: Mapping[str, Any], present: Mapping[str, Any]) -> bool:
    """Whether a stored fit or prediction has the same scorer and model as another, or as `fitted_to` returns.

    Versions of libraries are stored but not compared. Otherwise each update would invalidate the fit, and nodes with
    different builds would keep discarding each other's predictions.
    """
    return _comparable(found) == _comparable(present)


def _comparable(found: Mapping[str, Any]) -> dict[str, Any]:
    scorer = {key: value for key, value in (found.get("scorer") or {}).items() if key != "versions"}
    return {"scorer": scorer, "model": found.get("model")}


def current_correction(campaign: Campaign) -> Correction | None:
    """Return the correction of the current scorer's and model's predictions, or None.

    Without `screening.recalibrate_every` there is none, whatever was fitted before.
    """
    fits = [] if campaign.spec.screening.recalibrate_every is None else fits_newest_first(campaign)
    if not fits:
        return None
    present = fitted_to(campaign)
    return Correction.of_step(next((step for step in fits if is_of_same(step["fitted_to"], present)), None))


def correction_of_step(campaign: Campaign, step_id: str) -> Correction | None:
    """Return the correction of a Screen's predictions: the one it started with, otherwise the current one.

    A Screen that is killed and run again after another fit would otherwise mix two corrections.
    """
    has_begun, used = recalibration_of_predictions(campaign, step_id)
    if not has_begun:
        return current_correction(campaign)
    return None if used is None else Correction.of_step(find_fit(campaign, used))
