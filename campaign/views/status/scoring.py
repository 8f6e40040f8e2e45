"""Progress of running Screens: rate, and number of candidates predicted and not yet decided on."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from campaign.store.campaigns import Campaign
from campaign.store.collections import in_utc
from campaign.store.predictions import count_undecided_predictions, predictions_since
from campaign.store.steps import open_screens
from campaign.views.status.time_left import format_duration

_WINDOW = timedelta(minutes=10)
_HOUR_S = 3600.0


@dataclass(frozen=True, kw_only=True)
class ScoringProgress:
    """Predictions of unfinished Screens.

    Attributes
    ----------
    predicted
        Candidates predicted and not yet decided on; a Screen decides when all its predictions are made.
    waiting
        Candidates that wait for a prediction.
    per_hour
        Predictions per hour, over the last ten minutes that had any; None if there were fewer than two.
    """

    predicted: int
    waiting: int
    per_hour: float | None


def count_undecided(campaign: Campaign, *, ready: int) -> int:
    """Return the number of candidates that open Screens have predicted and not decided on."""
    return min(count_undecided_predictions(campaign, open_screens(campaign)), ready) if ready else 0


def scoring_progress(campaign: Campaign, *, ready: int, at: datetime) -> ScoringProgress:
    """Return the progress of open Screens.

    Parameters
    ----------
    ready
        Candidates that are ready for a Screen, predicted or not (``dos_done``).
    at
        End of the time window, UTC.
    """
    predicted, rate = count_undecided(campaign, ready=ready), None
    if predicted:
        number, first = predictions_since(campaign, open_screens(campaign), at - _WINDOW)
        if number > 1 and first is not None:
            rate = number / max((at - in_utc(first)).total_seconds(), 1.0) * _HOUR_S
    return ScoringProgress(predicted=predicted, waiting=ready - predicted, per_hour=rate)


def format_scoring(progress: ScoringProgress) -> str:
    """Format as ``130 of 256 predicted and not decided on yet, 1240 per hour, about 6 min for the rest``."""
    said = f"{progress.predicted} of {progress.predicted + progress.waiting} predicted and not decided on yet"
    if progress.per_hour:
        said += f", {progress.per_hour:.0f} per hour"
        if progress.waiting:
            said += f", about {format_duration(progress.waiting / progress.per_hour)} for the rest"
    return said
