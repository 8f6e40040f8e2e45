"""When a campaign's model is trained on: after `screening.retrain_every` new relaxations, while a candidate waits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from campaign.budget.limits import closed_reason
from campaign.scheduling.submit import submit_step
from campaign.store.campaigns import Campaign, OpenCampaign
from campaign.store.states import BEFORE_SCREEN, SCREENED

if TYPE_CHECKING:
    from campaign.store.campaigns import Campaign

#: States of candidates that another model would still be asked about.
_WAITING = (*BEFORE_SCREEN, "dos_done", "held")


def retrain_id(name: str, number: int) -> str:
    """Id of a campaign's retraining, counted from 0."""
    return f"{name}/retrain/{number}"


def relaxed_to_learn_from(campaign: Campaign) -> int:
    """Screened candidates that have a result, and whose RS-DOS has ended: both are there to learn from (or never)."""
    return campaign.store.candidates.count_documents(
        {
            "campaign": campaign.name,
            "role": SCREENED,
            "rs_dos.state": {"$in": ["done", "failed"]},
            "result.stable": {"$in": [True, False]},
        }
    )


def retrain_when_due(campaign: OpenCampaign) -> bool:
    """Submit the next retraining if it is due; return whether one is under way.

    Due is it when as many candidates as the campaign file says have been relaxed, and have got their RS-DOS, since the
    samples of the last one were taken (whether a model came of it or not). It is not when no candidate waits for a
    decision, since nobody would ask the new model, nor after the budget's end.
    """
    every, name = campaign.spec.screening.retrain_every, campaign.name
    if every is None:
        return False
    number = campaign.store.steps.count_documents({"campaign": name, "kind": "retrain"})
    learnt_from = 0
    if number:
        # state and count in one document: both are of the same moment
        last: dict[str, Any] = campaign.store.steps.find_one({"_id": retrain_id(name, number - 1)}) or {}
        if last.get("state") != "done":
            return True
        learnt_from = last["n_relaxed"]
    if relaxed_to_learn_from(campaign) - learnt_from < every or closed_reason(campaign) is not None:
        return False
    waiting = {"campaign": name, "role": SCREENED, "state": {"$in": list(_WAITING)}}
    if campaign.store.candidates.find_one(waiting, ["_id"]) is None:
        return False
    submit_step(
        campaign,
        retrain_id(name, number),
        kind="retrain",
        category="train",
    )
    return True
