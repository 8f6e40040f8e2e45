"""Candidates that the budget holds: released when there is room, and put there when there is none left."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from pymongo import UpdateOne

from campaign.budget.limits import (
    allowance_now,
    closed_reason,
    cpu_seconds_left,
    current_budget,
    expected_costs,
    is_limited,
    lock_budget,
)
from campaign.budget.spent import Costs, spending
from campaign.policies.allowance import Allowance
from campaign.policies.base import Prediction
from campaign.policies.decide import Decision, decide
from campaign.store.campaigns import Campaign
from campaign.store.collections import history_entry, now
from campaign.store.states import SCREENED, STAGES

if TYPE_CHECKING:
    from pymongo.client_session import ClientSession

logger = logging.getLogger(__name__)

#: Released in one transaction; the next call releases more.
_AT_ONCE = 500


def prediction_of(document: Mapping[str, Any]) -> Prediction:
    """What a candidate's document says of its prediction."""
    stored = document["prediction"]
    return Prediction(
        candidate=document["_id"],
        e_form=_number(stored["e_form"]),
        e_hull=_number(stored["e_hull"]),
        uncertainty=stored.get("uncertainty"),
        novel=stored.get("novel"),
        relax_cpu_s=float(stored.get("relax_cpu_s") or 0.0),
    )


def _number(value: float | None) -> float:
    return math.nan if value is None else float(value)


def decision_document(
    decision: Decision, prediction: Prediction, campaign: Campaign, document: Mapping[str, Any], *, step_id: str
) -> dict[str, Any]:
    """A decision with everything that is needed to make it again.

    Parameters
    ----------
    decision, prediction
        What was decided, and on what.
    campaign
        Whose policy and seed decided.
    document
        The candidate's; what predicted, and against which reference set, is taken from its prediction.
    step_id
        The step that decided.
    """
    said = document["prediction"]
    return {
        **decision.to_dict(),
        "inputs": {
            "e_form": prediction.e_form,  # eV/atom
            "e_hull": prediction.e_hull,  # eV/atom
            "uncertainty": prediction.uncertainty,  # eV/atom
            "novel": prediction.novel,
        },
        "policy": campaign.spec.policy.to_dict(),
        "seed": campaign.spec.seed,
        "model": said.get("model"),
        "scorer": said.get("scorer"),
        "reference_set": said.get("reference_set"),
        "step": step_id,
        "time": now(),
    }


def release_held(campaign: Campaign) -> int:
    """Promote held candidates as far as the budget allows now, the best first; return how many.

    Their earlier decisions are kept (``earlier_decisions``). Those among them that the audit has relaxed meanwhile are
    promoted in their turn without another relaxation.
    """
    name = campaign.name
    if (
        campaign.store.candidates.find_one({"campaign": name, "state": "held", "prediction": {"$ne": None}}, ["_id"])
        is None
    ):
        return 0
    costs = expected_costs(campaign)
    if _nothing_fits(campaign, allowance_now(campaign, costs), costs):
        return 0

    def release(session: ClientSession) -> int:
        lock_budget(campaign, session)
        query = {"campaign": name, "decision.outcome": "held"}
        fields = ["prediction", "state", "decision", "n_sites", "composition"]
        by_id = {
            document["_id"]: document for document in campaign.store.candidates.find(query, fields, session=session)
        }
        predictions = {name: _still_to_pay(document, costs) for name, document in by_id.items()}
        allowance = allowance_now(campaign, costs, session=session)
        decisions = decide(
            campaign.spec.policy, list(predictions.values()), allowance=allowance, seed=campaign.spec.seed
        )
        changed = [decision for decision in decisions if decision.promoted or _newly_audited(decision, by_id)]
        changed.sort(key=lambda decision: decision.rank or 0)
        updates = [
            _release(decision, predictions[decision.candidate], campaign, by_id[decision.candidate])
            for decision in changed[:_AT_ONCE]
        ]
        if updates:
            campaign.store.candidates.bulk_write(updates, ordered=False, session=session)
        # the others of them come next
        _note_next(campaign, decisions if len(changed) <= _AT_ONCE else [], by_id, session)
        return len(updates)

    released = campaign.store.in_transaction(release)
    if released:
        logger.info("campaign %s: %d held candidates go on", name, released)
    return released


def _still_to_pay(document: Mapping[str, Any], costs: Costs) -> Prediction:
    # as it is expected now, not when it was predicted; one that the audit has relaxed already costs nothing more
    cost = costs.screened(document) if document["state"] == "held" else 0.0
    return replace(prediction_of(document), relax_cpu_s=cost)


def _newly_audited(decision: Decision, by_id: Mapping[str, Mapping[str, Any]]) -> bool:
    return decision.audit and by_id[decision.candidate]["state"] == "held"


def _nothing_fits(campaign: Campaign, allowance: Allowance, costs: Costs) -> bool:
    """Whether not even the next held candidate fits, as far as that is known without looking at all of them."""
    found = campaign.store.campaigns.find_one({"_id": campaign.name}, ["next_held"]) or {}
    expected = [costs.screened(cell) for cell in found.get("next_held") or []]
    return allowance.refusal(min(expected, default=0.0)) is not None


def note_best_held(campaign: Campaign, decisions: Sequence[Decision]) -> None:
    """Note the best of the candidates that a Screen holds, so that `release_held` need not look at all each time.

    The best of all is among the best of each Screen.
    """
    best = _best_held(decisions)
    if best is not None:
        document = campaign.store.candidates.find_one({"_id": best.candidate}, ["n_sites", "composition"]) or {}
        note_held(campaign, document)


def note_held(campaign: Campaign, document: Mapping[str, Any]) -> None:
    """Note a candidate that is held now, which may be the next to go on."""
    campaign.store.campaigns.update_one({"_id": campaign.name}, {"$addToSet": {"next_held": _cell(document)}})


def _note_next(
    campaign: Campaign, decisions: Sequence[Decision], by_id: Mapping[str, Mapping[str, Any]], session: ClientSession
) -> None:
    best = _best_held(decisions)
    update: dict[str, Any] = {"$unset": {"next_held": ""}}
    # one that the audit has relaxed goes on for nothing, so it is looked at each time
    if best is not None and by_id[best.candidate]["state"] == "held":
        update = {"$set": {"next_held": [_cell(by_id[best.candidate])]}}
    campaign.store.campaigns.update_one({"_id": campaign.name}, update, session=session)


def _best_held(decisions: Sequence[Decision]) -> Decision | None:
    held = [decision for decision in decisions if decision.outcome == "held" and not decision.audit]
    return min(held, key=lambda decision: decision.rank or 0, default=None)


def _cell(document: Mapping[str, Any]) -> dict[str, Any]:
    """What the cost of its relaxation is learnt by."""
    return {"n_sites": document["n_sites"], "composition": document["composition"]}


def _release(decision: Decision, prediction: Prediction, campaign: Campaign, document: Mapping[str, Any]) -> UpdateOne:
    made = decision_document(decision, prediction, campaign, document, step_id=f"{campaign.name}/release")
    update: dict[str, Any] = {"$set": {"decision": made}, "$push": {"earlier_decisions": document["decision"]}}
    if document["state"] == "held":
        update["$set"]["state"] = "promoted"
        update["$push"]["history"] = history_entry(STAGES["dos"], "promoted")
    return UpdateOne({"_id": decision.candidate, "state": document["state"]}, update)


def dos_room(campaign: Campaign, *, session: ClientSession | None = None) -> int | None:
    """How many more IS-DOS the budget allows; None: no limit."""
    if not is_limited(campaign):
        return None
    if closed_reason(campaign, session=session) is not None:
        return 0
    if current_budget(campaign).cpu_hours is None:
        return None
    costs = expected_costs(campaign, session=session)
    left = cpu_seconds_left(campaign, spending(campaign, costs, session=session)) or 0.0
    return max(math.floor(left / costs.dos_cpu_s), 0)


def hold_waiting(campaign: Campaign) -> int:
    """Hold candidates that wait for an IS-DOS that the budget does not allow, once nothing else moves."""
    name = campaign.name
    waiting = {"campaign": name, "role": SCREENED, "state": "new"}
    # the sums over the ledger come last: this is asked after every calculation
    if not is_limited(campaign) or campaign.store.candidates.find_one(waiting, ["_id"]) is None:
        return 0
    # what has its DOS already waits for a last Screen, which waits until no other candidate is to come
    moving = {"$nin": ["new", "dos_done", "rejected", "held", "relaxed", "dos_failed", "relax_failed"]}
    if campaign.store.candidates.find_one({"campaign": name, "state": moving}, ["_id"]) is not None:
        return 0
    if dos_room(campaign) != 0:
        return 0
    held = campaign.store.candidates.update_many(
        waiting,
        {"$set": {"state": "held"}, "$push": {"history": history_entry(STAGES["dos"], "held")}},
    )
    return int(held.modified_count)


def free_waiting(campaign: Campaign) -> int:
    """Let candidates that were held before their IS-DOS wait for it again."""
    freed = campaign.store.candidates.update_many(
        {"campaign": campaign.name, "role": SCREENED, "state": "held", "prediction": None},
        {"$set": {"state": "new"}, "$push": {"history": history_entry(STAGES["dos"], "new")}},
    )
    return int(freed.modified_count)
