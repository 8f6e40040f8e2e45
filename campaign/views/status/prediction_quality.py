"""The errors of predictions for the candidates relaxed so far, from one aggregation."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from campaign.store.campaigns import Campaign
from campaign.store.counts import prediction_errors


@dataclass(frozen=True, kw_only=True)
class PredictionQuality:
    """Predicted against calculated formation energies of screened candidates that are relaxed.

    Attributes
    ----------
    n
        Candidates with both.
    mae, rmse
        Mean absolute and root mean square error of E_f(ML), eV/atom; None where n is 0.
    bias
        Mean of E_f(ML) - E_f(DFT), eV/atom: negative where the model promises too much; None where n is 0.
    promoted, stable
        Promoted candidates with a result, and the stable ones of them.
    success_ratio
        stable / promoted; None where nothing promoted has a result.

    Notes
    -----
    Most relaxed candidates were promoted, so these are errors for the most promising predictions, not for all
    candidates: a negative bias is to be expected.
    """

    n: int
    mae: float | None
    rmse: float | None
    bias: float | None
    promoted: int
    stable: int
    success_ratio: float | None


def prediction_quality(campaign: Campaign, *, model: str | None) -> tuple[PredictionQuality, PredictionQuality]:
    """Compare predictions with relaxations: all of the campaign, and those that the model in use made.

    Parameters
    ----------
    model
        Checksum of the model in use; None where the scorer has none.
    """
    groups = prediction_errors(campaign)
    return _summed(groups), _summed(group for group in groups if group["_id"] == model)


def _summed(groups: Iterable[dict[str, Any]]) -> PredictionQuality:
    found = list(groups)

    def total(key: str) -> float:
        return math.fsum(group[key] for group in found)

    n, promoted, stable = int(total("n")), int(total("promoted")), int(total("stable"))
    return PredictionQuality(
        n=n,
        mae=total("absolute") / n if n else None,
        rmse=math.sqrt(total("squared") / n) if n else None,
        bias=total("signed") / n if n else None,
        promoted=promoted,
        stable=stable,
        success_ratio=stable / promoted if promoted else None,
    )
