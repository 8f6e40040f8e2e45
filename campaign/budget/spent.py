"""What a campaign has spent, and what it has promised: sums over the ledger and over what is queued."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from campaign.policies.cost_model import CostModel, Ended, valence_electrons
from campaign.store.campaigns import Campaign
from campaign.store.states import BOOTSTRAP, OPEN_RS_DOS, REFERENCE, SCREENED, STAGES, TRAINING

if TYPE_CHECKING:
    from pymongo.client_session import ClientSession

StageCosts = dict[str, dict[str, float]]
"""``{stage: {attempts, cpu_s, gpu_s}}``."""

#: Costs are learnt from so many of the calculations that ended last.
_LEARN_FROM = 2000


def cpu_seconds_by_document(
    campaign: Campaign,
    *,
    stage: str | None = None,
    documents: Collection[str] | None = None,
    session: ClientSession | None = None,
) -> dict[str, float]:
    """CPU-seconds that each candidate and each reference has cost so far, all attempts.

    In one stage or in all, of the documents named or of all.
    """
    match: dict[str, Any] = {"campaign": campaign.name} | ({} if stage is None else {"stage": stage})
    match["document"] = {"$ne": None} if documents is None else {"$in": list(documents)}
    total = {"_id": "$document", "cpu_s": {"$sum": "$cpu_s"}}
    groups = campaign.store.attempts.aggregate([{"$match": match}, {"$group": total}], session=session)
    return {group["_id"]: float(group["cpu_s"]) for group in groups}


def cost_by_stage(campaign: Campaign, *, session: ClientSession | None = None) -> StageCosts:
    """For each stage the number of attempts and what they used, ``{stage: {attempts, cpu_s, gpu_s}}``."""
    groups = campaign.store.attempts.aggregate(
        [
            {"$match": {"campaign": campaign.name}},
            {
                "$group": {
                    "_id": "$stage",
                    "attempts": {"$sum": 1},
                    "cpu_s": {"$sum": "$cpu_s"},
                    "gpu_s": {"$sum": "$gpu_s"},
                }
            },
            {"$sort": {"_id": 1}},
        ],
        session=session,
    )
    return {
        group["_id"]: {
            "attempts": group["attempts"],
            "cpu_s": float(group["cpu_s"]),
            "gpu_s": float(group["gpu_s"]),
        }
        for group in groups
    }


@dataclass(frozen=True, kw_only=True)
class Costs:
    """Expected costs of a campaign's calculations.

    Attributes
    ----------
    relax
        Of a relaxation, by the size of the cell.
    dos_cpu_s
        Of a DOS, CPU-s: the mean (they differ little, and there are many).
    rs_dos_cpu_s
        Of the RS-DOS that follows the relaxation of a screened candidate, CPU-s; 0 where none follows.
    """

    relax: CostModel
    dos_cpu_s: float
    rs_dos_cpu_s: float = 0.0

    def relaxation(self, document: Mapping[str, Any]) -> float:
        """Expected cost of a candidate's or a reference's relaxation, CPU-s."""
        return self.relax.estimate(**_size(document))

    def screened(self, document: Mapping[str, Any]) -> float:
        """Expected cost of relaxing a screened candidate, CPU-s, with the RS-DOS that follows."""
        return self.relaxation(document) + self.rs_dos_cpu_s


def learn_costs(
    campaign: Campaign, *, relax_cpu_s: float, dos_cpu_s: float, session: ClientSession | None = None
) -> Costs:
    """Learn from the calculations that ended last what the next ones will cost.

    Parameters
    ----------
    campaign
        The campaign's collections, and its name.
    relax_cpu_s, dos_cpu_s
        Expected costs while none has ended, CPU-s.
    session
        Transaction to read in.
    """
    spent, completed, _ = _spent_and_completed(campaign, "relax", session)
    # each bears its share of the attempts that failed
    share = spent / completed if completed > 0.0 else 1.0
    ended = [replace(item, cpu_s=item.cpu_s * share) for item in _ended_relaxations(campaign, session)]
    return Costs(
        relax=CostModel.fit(ended, default_cpu_s=relax_cpu_s),
        dos_cpu_s=learn_dos_cost(campaign, dos_cpu_s=dos_cpu_s, session=session),
    )


def learn_dos_cost(campaign: Campaign, *, dos_cpu_s: float, session: ClientSession | None = None) -> float:
    """Mean cost of a DOS so far, CPU-s, failed attempts included; `dos_cpu_s` while none has ended."""
    spent, completed, number = _spent_and_completed(campaign, "dos", session)
    return spent / number if completed > 0.0 else dos_cpu_s


def _ended_relaxations(campaign: Campaign, session: ClientSession | None) -> list[Ended]:
    query = {"campaign": campaign.name, "stage": "relax", "outcome": "completed"}
    found = (
        campaign.store.attempts.find(query, ["document", "cpu_s"], session=session).sort("ended", -1).limit(_LEARN_FROM)
    )
    cost = {entry["document"]: float(entry.get("cpu_s") or 0.0) for entry in found}
    if not cost:
        return []
    sizes: dict[str, dict[str, int]] = {}
    for collection in (campaign.store.candidates, campaign.store.references):
        for document in collection.find({"_id": {"$in": list(cost)}}, ["n_sites", "composition"], session=session):
            sizes[document["_id"]] = _size(document)
    return [Ended(cpu_s=cost[name], **size) for name, size in sizes.items()]


def _spent_and_completed(campaign: Campaign, stage: str, session: ClientSession | None) -> tuple[float, float, int]:
    """CPU-s of all attempts that have ended, CPU-s of the completed ones, and how many these are."""
    match = {"campaign": campaign.name, "stage": stage, "outcome": {"$ne": "running"}}
    total = {"_id": "$outcome", "cpu_s": {"$sum": "$cpu_s"}, "n": {"$sum": 1}}
    found = campaign.store.attempts.aggregate([{"$match": match}, {"$group": total}], session=session)
    groups = {group["_id"]: group for group in found}
    completed = groups.get("completed", {"cpu_s": 0.0, "n": 0})
    return sum(float(group["cpu_s"]) for group in groups.values()), float(completed["cpu_s"]), int(completed["n"])


def _size(document: Mapping[str, Any]) -> dict[str, int]:
    return {"n_sites": int(document["n_sites"]), "n_electrons": valence_electrons(document["composition"])}


@dataclass(frozen=True, kw_only=True)
class Spending:
    """Spent and promised; what runs counts at its expected cost, or at what it has used where that is more.

    Attributes
    ----------
    cpu_s, gpu_s
        Of all attempts of all stages so far.
    promised_cpu_s
        Still to come from what is queued and runs.
    relax_cpu_s, promised_relax_cpu_s
        The same for relaxations of screened candidates alone.
    relaxations
        Screened candidates that were sent to a relaxation, whatever became of it.
    """

    cpu_s: float
    gpu_s: float
    promised_cpu_s: float
    relax_cpu_s: float
    promised_relax_cpu_s: float
    relaxations: int


def spending(campaign: Campaign, costs: Costs, *, session: ClientSession | None = None) -> Spending:
    """Sum up what a campaign has spent and promised.

    Parameters
    ----------
    campaign
        The campaign's collections, and its name.
    costs
        What calculations are expected to cost, as it is known now.
    session
        Transaction to read in.
    """
    by_stage = cost_by_stage(campaign, session=session)
    screened = _screened_relaxations(campaign, costs, by_stage, session)
    others = _others_queued(campaign, costs, session)
    return Spending(
        cpu_s=sum(cost["cpu_s"] for cost in by_stage.values()),
        gpu_s=sum(cost["gpu_s"] for cost in by_stage.values()),
        promised_cpu_s=screened["promised"] + others,
        relax_cpu_s=screened["spent"],
        promised_relax_cpu_s=screened["promised"],
        relaxations=int(screened["number"]),
    )


_RELAXING = ("promoted", STAGES["relax"].running)
#: States of candidates that are relaxed, or were or will be, whatever became of it.
SENT_TO_RELAXATION = (*_RELAXING, "relaxed", STAGES["relax"].failed)


def _screened_relaxations(
    campaign: Campaign, costs: Costs, by_stage: StageCosts, session: ClientSession | None
) -> dict[str, float]:
    """Relaxations of screened candidates: how many, CPU-s spent on them, and CPU-s still to come.

    Asked after each calculation, so it reads what is queued and what is not screened, and not all that was ever
    relaxed: what was spent on screened candidates is `relax_cpu_s`, spent on all relaxations, without the others.
    """
    query: dict[str, Any] = {"campaign": campaign.name, "role": SCREENED}
    counts = campaign.store.role_counts(campaign.name, session=session)
    number = sum(counts.get((SCREENED, state), 0) for state in SENT_TO_RELAXATION)
    if not number:
        return {"number": 0, "spent": 0.0, "promised": 0.0}
    fields = ["n_sites", "composition"]
    queued = list(campaign.store.candidates.find({**query, "state": {"$in": list(_RELAXING)}}, fields, session=session))
    ids = [document["_id"] for document in queued]
    spent_on = cpu_seconds_by_document(campaign, stage="relax", documents=ids, session=session)
    promised = sum(max(costs.screened(each) - spent_on.get(each["_id"], 0.0), 0.0) for each in queued)
    spent = spent_on_screened(campaign, by_stage, session=session)
    return {"number": number, "spent": spent, "promised": promised}


def spent_on_screened(campaign: Campaign, by_stage: StageCosts, *, session: ClientSession | None = None) -> float:
    """CPU-s that relaxations of screened candidates have used so far; `by_stage` is what `cost_by_stage` says."""
    others = _not_screened(campaign, session)
    spent_on_others = cpu_seconds_by_document(campaign, stage="relax", documents=others, session=session)
    return by_stage.get("relax", {}).get("cpu_s", 0.0) - sum(spent_on_others.values())


def still_to_come(campaign: Campaign, costs: Costs, *, apart_from: str) -> dict[str, float]:
    """CPU-s that calculations which have begun are still expected to use, by stage.

    Parameters
    ----------
    campaign
        The campaign's collections, and its name.
    costs
        What calculations are expected to cost.
    apart_from
        A candidate whose own calculations do not count.
    """
    query = {"campaign": campaign.name, "outcome": "running", "document": {"$nin": [None, apart_from]}}
    running = list(campaign.store.attempts.find(query, ["document", "stage", "cpu_s"]))
    relaxed = [entry["document"] for entry in running if entry["stage"] == STAGES["relax"].name]
    expected = {
        document["_id"]: costs.relaxation(document)
        for collection in (campaign.store.candidates, campaign.store.references)
        for document in collection.find({"_id": {"$in": relaxed}}, ["n_sites", "composition"])
    }
    left: dict[str, float] = {}
    for entry in running:
        cost = costs.dos_cpu_s if entry["stage"] != STAGES["relax"].name else expected.get(entry["document"], 0.0)
        rest = max(cost - float(entry.get("cpu_s") or 0.0), 0.0)
        left[entry["stage"]] = left.get(entry["stage"], 0.0) + rest
    return left


def _not_screened(campaign: Campaign, session: ClientSession | None) -> list[str]:
    """Ids of the references and of the training sample."""
    other_roles = {"campaign": campaign.name, "role": {"$in": [BOOTSTRAP, TRAINING]}}
    found = [
        *campaign.store.references.find({"campaign": campaign.name}, ["_id"], session=session),
        *campaign.store.candidates.find(other_roles, ["_id"], session=session),
    ]
    return [document["_id"] for document in found]


def _others_queued(campaign: Campaign, costs: Costs, session: ClientSession | None) -> float:
    """CPU-s still to come from queued DOS, and from relaxations of what is not screened."""
    promised = 0.0
    other_roles = {"$in": [BOOTSTRAP, TRAINING, REFERENCE]}
    open_rs_dos = {"rs_dos.state": {"$in": list(OPEN_RS_DOS)}}
    for collection in (campaign.store.candidates, campaign.store.references):
        dos = (
            {"state": STAGES["dos"].running},
            # a screened candidate gets an RS-DOS only if it is relaxed; until then its relaxation's cost includes it
            {"state": "relaxed", **open_rs_dos},
            # what is relaxed in any case counts before it is submitted, and so does the RS-DOS that it gets
            {"role": other_roles, "state": {"$ne": "relaxed"}, **open_rs_dos},
        )
        for query in dos:
            promised += costs.dos_cpu_s * collection.count_documents(
                {"campaign": campaign.name, **query}, session=session
            )
        states = ["new", STAGES["relax"].running]
        relaxing = {"campaign": campaign.name, "state": {"$in": states}, "role": other_roles}
        found = collection.find(relaxing, ["n_sites", "composition"], session=session)
        promised += sum(costs.relaxation(document) for document in found)
    return promised
