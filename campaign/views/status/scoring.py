"""Progress of the running Screens: candidates predicted and not yet decided on, and the rate."""

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
    """What Screens that are not done have predicted.

    Attributes
    ----------
    predicted
        Candidates that a Screen has predicted and not decided on: it decides when it has all of its own.
    waiting
        Candidates that wait for a prediction.
    per_hour
        Predictions per hour, over the last ten minutes in which there were some; None where there were fewer than two.
    """

    predicted: int
    waiting: int
    per_hour: float | None


def count_undecided(campaign: Campaign, *, ready: int) -> int:
    """Count what open Screens have predicted and not decided on: where a prediction takes long, all that moves."""
    return min(count_undecided_predictions(campaign, open_screens(campaign)), ready) if ready else 0


def scoring_progress(campaign: Campaign, *, ready: int, at: datetime) -> ScoringProgress:
    """Count what open Screens have predicted.

    Parameters
    ----------
    ready
        Candidates that are ready for a Screen, predicted or not (``dos_done``).
    at
        The time to count back from, UTC.
    """
    predicted, rate = count_undecided(campaign, ready=ready), None
    if predicted:
        number, first = predictions_since(campaign, open_screens(campaign), at - _WINDOW)
        if number > 1 and first is not None:
            rate = number / max((at - in_utc(first)).total_seconds(), 1.0) * _HOUR_S
    return ScoringProgress(predicted=predicted, waiting=ready - predicted, per_hour=rate)


def format_scoring(progress: ScoringProgress) -> str:
    """``130 of 256 predicted and not decided on yet, 1240 per hour, about 6 min for the rest``."""
    said = f"{progress.predicted} of {progress.predicted + progress.waiting} predicted and not decided on yet"
    if progress.per_hour:
        said += f", {progress.per_hour:.0f} per hour"
        if progress.waiting:
            said += f", about {format_duration(progress.waiting / progress.per_hour)} for the rest"
    return said
