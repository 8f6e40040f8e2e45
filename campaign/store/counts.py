"""Read-only counts and sums over a campaign's collections, for its status, funnel and costs."""

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from pymongo.client_session import ClientSession

from campaign.store.campaigns import Campaign
from campaign.store.collections import Document, counts_by, exists, sums_by
from campaign.store.states import AWAITS_RS_DOS, PERSON, SCREENED, STAGES, CandidateState, StepState

#: FireWorks states of fireworks that run or can start. A waiting one starts after another one; if none can, that one
#: was defused or paused.
LIVE_FIREWORK_STATES = ("READY", "RESERVED", "RUNNING")
#: All states of a firework (`fireworks.core.firework.Firework.STATE_RANKS`).
_FIREWORK_STATES = (*LIVE_FIREWORK_STATES, "WAITING", "COMPLETED", "FIZZLED", "ARCHIVED", "DEFUSED", "PAUSED")


def count_candidates(
    campaign: Campaign,
    *,
    state: CandidateState | None = None,
    role: str | None = None,
    stable: bool | None = None,
    since: datetime | None = None,
    session: ClientSession | None = None,
) -> int:
    """Count the candidates with this state, role and stability whose result came after `since` (UTC).

    Criteria that are None are not applied. Reads in a transaction if a session is given.
    """
    wanted = {"state": state, "role": role, "result.stable": stable, "result.time": since and {"$gte": since}}
    query = {"campaign": campaign.name} | {field: value for field, value in wanted.items() if value is not None}
    return campaign.store.candidates.count_documents(query, session=session)


def count_references(campaign: Campaign, *states: CandidateState) -> int:
    """Count the phases of a campaign's own reference set, optionally only those in one of these states."""
    query: dict[str, Any] = {"campaign": campaign.name}
    if states:
        query["state"] = states[0] if len(states) == 1 else {"$in": list(states)}
    return campaign.store.references.count_documents(query)


def count_open_rs_dos(campaign: Campaign) -> int:
    """Count the relaxed candidates and references whose RS-DOS is still to come."""
    query = {"campaign": campaign.name, **AWAITS_RS_DOS}
    return sum(collection.count_documents(query) for collection in campaign.store.structures)


def count_attempts(campaign: Campaign, *, outcome: str | None = None) -> int:
    """Count the entries of a campaign's ledger, optionally only those with an outcome."""
    query = {"campaign": campaign.name}
    if outcome is not None:
        query["outcome"] = outcome
    return campaign.store.attempts.count_documents(query)


def count_completed_steps(campaign: Campaign) -> int:
    """Count the steps of a campaign that are done."""
    return campaign.store.steps.count_documents({"campaign": campaign.name, "state": StepState.DONE})


def decisions_by_state(campaign: Campaign) -> dict[bool, dict[str, int]]:
    """Count candidates by whether they were promoted, and by state, from an index alone."""
    query = {"campaign": campaign.name, "decision.promoted": {"$in": [True, False]}}
    found: dict[bool, dict[str, int]] = {True: {}, False: {}}
    for (promoted, state), number in counts_by(campaign.store.candidates, query, "decision.promoted", "state").items():
        found[promoted][state] = number
    return found


def failures_by_kind(campaign: Campaign) -> dict[str, int]:
    """Count the candidates and references whose IS-DOS or relaxation failed permanently, by kind of failure."""
    kinds: Counter[str] = Counter()
    failed_states = [CandidateState.DOS_FAILED, CandidateState.RELAX_FAILED]
    for collection in campaign.store.structures:
        query = {"campaign": campaign.name, "state": {"$in": failed_states}}
        kinds.update(counts_by(collection, query, "final_failure.kind"))
    return dict(kinds)


def failures_by_stage_and_kind(campaign: Campaign) -> dict[tuple[str, str], int]:
    """Count permanent failures, including those of RS-DOS, by ``(stage, kind)``."""
    counts: Counter[tuple[str, str]] = Counter()
    for collection in campaign.store.structures:
        for query in failed_for_good(campaign.name):
            found = counts_by(collection, query, "final_failure.stage", "final_failure.kind")
            counts.update({(str(stage), str(kind)): number for (stage, kind), number in found.items()})
    return dict(counts)


def failed_for_good(name: str) -> Iterator[dict[str, Any]]:
    """Yield the filters of permanent failures: one for the stages that change ``state``, one for the RS-DOS."""
    with_reason = {"final_failure": {"$ne": None}}
    states = [stage.failed for stage in STAGES.values() if stage.state_field == "state"]
    yield {"campaign": name, "state": {"$in": states}, **with_reason}
    rs_dos_failed = {"rs_dos.state": STAGES["rs_dos"].failed}
    yield {"campaign": name, "state": CandidateState.RELAXED, **rs_dos_failed, **with_reason}


def fireworks_by_state(campaign: Campaign) -> dict[str, int]:
    """Count a campaign's fireworks by FireWorks state; states without any are left out."""
    fireworks = campaign.store.database["fireworks"]
    # one count per state: MongoDB counts index entries faster than it groups them
    counts = {
        state: fireworks.count_documents({"spec.campaign_name": campaign.name, "state": state})
        for state in _FIREWORK_STATES
    }
    return {state: number for state, number in counts.items() if number}


def has_unfinished_fireworks(campaign: Campaign) -> bool:
    """Whether a campaign has fireworks that run, can run, or are paused."""
    query = {"spec.campaign_name": campaign.name, "state": {"$in": [*LIVE_FIREWORK_STATES, "PAUSED"]}}
    return exists(campaign.store.database["fireworks"], query)


def ready_fireworks_by_category(campaign: Campaign) -> dict[str | None, int]:
    """Count the ready fireworks by category, from an index alone; None stands for any category."""
    query = {"spec.campaign_name": campaign.name, "state": "READY"}
    return counts_by(campaign.store.database["fireworks"], query, "spec._category")


class CostSum(NamedTuple):
    """Number of calculations, and their CPU-seconds."""

    number: int = 0
    cpu_s: float = 0.0


def ended_attempts(
    campaign: Campaign, stages: Sequence[str], *, since: datetime | None = None, session: ClientSession | None = None
) -> dict[tuple[str, str], CostSum]:
    """Count the attempts that ended since a time (UTC) and sum their cost, by ``(stage, outcome)``, from an index.

    Reused calculations are not counted.
    """
    query = {"campaign": campaign.name, "stage": {"$in": list(stages)}, "outcome": {"$nin": ["running", "reused"]}}
    if since is not None:
        query["ended"] = {"$gte": since}
    groups = sums_by(campaign.store.attempts, query, "stage", "outcome", session=session, n=1, cpu_s="$cpu_s")
    return {key: CostSum(group["n"], float(group["cpu_s"])) for key, group in groups.items()}


def stage_costs(campaign: Campaign, stage: str) -> list[Document]:
    """Sum the ledger of one stage by candidate or reference.

    Returns
    -------
    list
        For each document (``_id``): ``cpu_s``, number of ``attempts``, and number of those with a ``known`` cost.
    """
    # reused calculations cost nothing here and would bias the mean cost
    query = {"campaign": campaign.name, "stage": stage, "outcome": {"$ne": "reused"}, "document": {"$ne": None}}
    known = {"$cond": [{"$gt": ["$cpu_s", None]}, 1, 0]}
    groups = sums_by(campaign.store.attempts, query, "document", cpu_s="$cpu_s", known=known, attempts=1)
    return list(groups.values())


def prediction_errors(campaign: Campaign) -> list[Document]:
    """Sum the errors of predictions over the relaxed screened candidates, by model.

    Returns
    -------
    list
        For each model (``_id``: its checksum, or None): ``n`` candidates with a prediction and a result; the sums of
        their ``absolute``, ``signed`` (predicted - calculated) and ``squared`` errors in E_f, eV/atom; the number of
        candidates with a result that were ``promoted``, and of those that are ``stable``.
    """
    # null and NaN, which mean no prediction, sort below every number
    is_known = {"$and": [{"$gt": [f"${part}.e_form_per_atom", -1e300]} for part in ("prediction", "result")]}
    error = {"$subtract": ["$prediction.e_form_per_atom", "$result.e_form_per_atom"]}
    # by a policy: a person's choice says nothing about the predictions
    is_promoted = {"$and": [{"$eq": ["$decision.promoted", True]}, {"$ne": ["$decision.kind", PERSON]}]}

    def total(of: Any, where: Any) -> dict[str, Any]:
        return {"$cond": [where, of, 0]}

    sums: dict[str, Any] = {
        "n": total(1, is_known),
        "absolute": total({"$abs": error}, is_known),
        "signed": total(error, is_known),
        "squared": total({"$multiply": [error, error]}, is_known),
        "promoted": total(1, is_promoted),
        "stable": total(1, {"$and": [is_promoted, "$result.stable"]}),
    }
    relaxed = {"campaign": campaign.name, "state": CandidateState.RELAXED, "role": SCREENED}
    query = {**relaxed, "result.stable": {"$in": [True, False]}}
    return list(sums_by(campaign.store.candidates, query, "prediction.model", **sums).values())
