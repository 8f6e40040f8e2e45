"""The usage of a campaign, and its reservations for queued and running calculations."""

from dataclasses import dataclass

from pymongo.client_session import ClientSession

from campaign.budget.costs import Costs
from campaign.store.campaigns import Campaign
from campaign.store.states import STAGES
from campaign.store.usage import (
    StageCosts,
    cells,
    cost_by_stage,
    count_open_dos,
    count_sent_to_relaxation,
    cpu_seconds_by_document,
    not_screened_ids,
    queued_not_screened,
    queued_screened,
    running_attempts,
)


@dataclass(frozen=True, kw_only=True)
class Usage:
    """Usage and reservations; a running calculation counts at its expected cost, or its usage if that is larger.

    Attributes
    ----------
    cpu_s, gpu_s
        Usage of all attempts of all stages so far.
    promised_cpu_s
        Expected further cost of queued and running calculations.
    relax_cpu_s, promised_relax_cpu_s
        The same for relaxations of screened candidates alone.
    relaxations
        Number of screened candidates sent to a relaxation, whatever its outcome.
    """

    cpu_s: float
    gpu_s: float
    promised_cpu_s: float
    relax_cpu_s: float
    promised_relax_cpu_s: float
    relaxations: int


def usage(campaign: Campaign, costs: Costs, *, session: ClientSession | None = None) -> Usage:
    """Return a campaign's usage and reservations at these expected costs."""
    by_stage = cost_by_stage(campaign, session=session)
    # called after each calculation, so only queued and unscreened documents are read, not everything ever relaxed
    relaxations = count_sent_to_relaxation(campaign, session=session)
    used = spent_on_screened(campaign, by_stage, session=session) if relaxations else 0.0
    promised = _promised_to_screened(campaign, costs, session) if relaxations else 0.0
    others = _promised_to_others(campaign, costs, session)
    return Usage(
        cpu_s=sum(cost["cpu_s"] for cost in by_stage.values()),
        gpu_s=sum(cost["gpu_s"] for cost in by_stage.values()),
        promised_cpu_s=promised + others,
        relax_cpu_s=used,
        promised_relax_cpu_s=promised,
        relaxations=relaxations,
    )


def _promised_to_screened(campaign: Campaign, costs: Costs, session: ClientSession | None) -> float:
    """Return the expected further CPU-s of relaxations of screened candidates."""
    queued = queued_screened(campaign, session=session)
    ids = [document["_id"] for document in queued]
    used = cpu_seconds_by_document(campaign, stage="relax", documents=ids, session=session)
    return sum(max(costs.screened(each) - used.get(each["_id"], 0.0), 0.0) for each in queued)


def spent_on_screened(campaign: Campaign, by_stage: StageCosts, *, session: ClientSession | None = None) -> float:
    """Return the CPU-s used by relaxations of screened candidates; `by_stage` is the result of `cost_by_stage`.

    Computed as that of all relaxations minus those of the references and the training sample.
    """
    others = not_screened_ids(campaign, session=session)
    used_by_others = cpu_seconds_by_document(campaign, stage="relax", documents=others, session=session)
    return by_stage.get("relax", {}).get("cpu_s", 0.0) - sum(used_by_others.values())


def _promised_to_others(campaign: Campaign, costs: Costs, session: ClientSession | None) -> float:
    """Return the expected further CPU-s of queued DOS, and of relaxations of references and the training sample."""
    dos = costs.dos_cpu_s * count_open_dos(campaign, session=session)
    return dos + sum(costs.relaxation(document) for document in queued_not_screened(campaign, session=session))


def still_to_come(campaign: Campaign, costs: Costs, *, apart_from: str) -> dict[str, float]:
    """Return the expected further CPU-s of running calculations, except one candidate's, by stage."""
    running = running_attempts(campaign, apart_from=apart_from)
    relaxing = [entry["document"] for entry in running if entry["stage"] == STAGES["relax"].name]
    expected = {name: costs.relaxation(document) for name, document in cells(campaign, relaxing).items()}
    left: dict[str, float] = {}
    for entry in running:
        cost = costs.dos_cpu_s if entry["stage"] != STAGES["relax"].name else expected.get(entry["document"], 0.0)
        rest = max(cost - float(entry.get("cpu_s") or 0.0), 0.0)
        left[entry["stage"]] = left.get(entry["stage"], 0.0) + rest
    return left
