"""Correction of a campaign's predictions: its last fit as numbers and as text."""

from dataclasses import dataclass

from campaign.recalibration.fit import Fit
from campaign.steps.correction import fitted_to, is_of_same
from campaign.store.campaigns import Campaign
from campaign.store.recalibration.fits import fits_newest_first


@dataclass(frozen=True, kw_only=True)
class Recalibration:
    """Last fit of the correction of predictions.

    Attributes
    ----------
    step
        Id of the step that made it.
    number
        Number of the fit, from 1.
    n
        Number of relaxed candidates in the fit.
    is_on
        Whether it corrects predictions.
    is_of_model
        Whether it is of the scorer and model in use: a new model is not corrected before enough of what it predicted is
        relaxed.
    is_switched_off
        Whether the campaign file, or `campaign set`, says that predictions are not corrected.
    reason
        Reason, with the errors of held-out relaxations without and with the correction.
    """

    step: str
    number: int
    n: int
    is_on: bool
    is_of_model: bool
    is_switched_off: bool
    reason: str


def last_recalibration(campaign: Campaign) -> Recalibration | None:
    """Return the last fit of a campaign, or None if there is none."""
    newest = next(iter(fits_newest_first(campaign)), None)
    if newest is None:
        return None
    fit = Fit.from_dict(newest["fit"])
    return Recalibration(
        step=newest["_id"],
        number=(newest["number"] or 0) + 1,
        n=fit.n,
        is_on=fit.is_on,
        is_of_model=is_of_same(newest["fitted_to"], fitted_to(campaign)),
        is_switched_off=campaign.spec.screening.recalibrate_every is None,
        reason=fit.reason,
    )


def format_recalibration(found: Recalibration) -> str:
    """Format the last fit in one line."""
    state = "on" if found.is_on else "off"
    if found.is_switched_off:
        state = "off (screening.recalibrate_every is null)"
    elif not found.is_of_model:
        state = "off (belongs to an earlier scorer or model)"
    return f"{state}, number {found.number} on {found.n} relaxed: {found.reason}"
