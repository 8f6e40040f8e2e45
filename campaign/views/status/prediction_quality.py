"""How well predictions held against the relaxations done so far, from one aggregation over what is relaxed."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from campaign.store.campaigns import Campaign
from campaign.store.states import SCREENED


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
        stable / promoted (SCIENCE.md); None where nothing promoted has a result.

    Notes
    -----
    Most of what is relaxed was promoted, so these are errors where the model promised most, not over all candidates:
    a bias below zero is to be expected.
    """

    n: int
    mae: float | None
    rmse: float | None
    bias: float | None
    promoted: int
    stable: int
    success_ratio: float | None


def prediction_quality(campaign: Campaign, *, model: str | None) -> tuple[PredictionQuality, PredictionQuality]:
    """Compare predictions with relaxations.

    Parameters
    ----------
    campaign
        The campaign.
    model
        Checksum of the model in use; None where the scorer has none.

    Returns
    -------
    tuple of PredictionQuality
        Over all predictions of the campaign, and over those that the model in use made.
    """
    groups = list(campaign.store.candidates.aggregate(_pipeline(campaign.name)))
    return _summed(groups), _summed(group for group in groups if group["_id"] == model)


def _pipeline(name: str) -> list[dict[str, Any]]:
    # null and NaN, which stand for no prediction, sort below every number
    is_known = {"$and": [{"$gt": [f"${part}.e_form", -1e300]} for part in ("prediction", "result")]}
    error = {"$subtract": ["$prediction.e_form", "$result.e_form"]}
    is_promoted = {"$eq": ["$decision.promoted", True]}

    def total(of: Any, where: Any) -> dict[str, Any]:
        return {"$sum": {"$cond": [where, of, 0]}}

    sums = {
        "n": total(1, is_known),
        "absolute": total({"$abs": error}, is_known),
        "signed": total(error, is_known),
        "squared": total({"$multiply": [error, error]}, is_known),
        "promoted": total(1, is_promoted),
        "stable": total(1, {"$and": [is_promoted, "$result.stable"]}),
    }
    match = {"campaign": name, "state": "relaxed", "role": SCREENED, "result.stable": {"$in": [True, False]}}
    return [{"$match": match}, {"$group": {"_id": {"$ifNull": ["$prediction.model", None]}, **sums}}]


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
