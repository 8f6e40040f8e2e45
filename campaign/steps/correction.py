"""Which fit corrects the predictions of a Screen."""

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


def current_correction(campaign: Campaign) -> Correction | None:
    """What corrects predictions of the campaign's scorer and model now; None: nothing does."""
    fits = fits_newest_first(campaign)
    if not fits:
        return None
    present = fitted_to(campaign)
    return Correction.of_step(next((step for step in fits if step["fitted_to"] == present), None))


def correction_of_step(campaign: Campaign, step_id: str) -> Correction | None:
    """What corrects the predictions of a Screen: what it has begun with, else what does now.

    A Screen that was killed half-way and is run again after another fit would mix two otherwise.
    """
    has_begun, used = recalibration_of_predictions(campaign, step_id)
    if not has_begun:
        return current_correction(campaign)
    return None if used is None else Correction.of_step(find_fit(campaign, used))
