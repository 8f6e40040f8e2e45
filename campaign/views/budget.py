"""CPU-hours that a campaign has spent, reserved and left."""

from collections.abc import Iterator, Mapping
from typing import Any

from campaign.budget.limits import allowance_now, closed_reason, current_budget, expected_costs, relaxation_cpu_hours
from campaign.budget.spent import usage
from campaign.config.wording import format_count
from campaign.store.campaigns import Campaign
from campaign.store.counts import count_candidates
from campaign.store.states import CandidateState
from campaign.store.usage import cost_by_stage

_HOUR = 3600.0


def budget_report(campaign: Campaign) -> dict[str, Any]:
    """Return the ledger's sums, expected costs, limits and remainders as JSON types; hours are CPU-hours."""
    costs = expected_costs(campaign)
    found = usage(campaign, costs)
    left = allowance_now(campaign, costs)
    stages = cost_by_stage(campaign)
    return {
        "campaign": campaign.name,
        "limits": current_budget(campaign).model_dump(mode="json")
        | {"relaxation_cpu_hours": relaxation_cpu_hours(campaign)},
        "stages": {
            stage: {
                "attempts": int(cost["attempts"]),
                "cpu_hours": cost["cpu_s"] / _HOUR,
                "gpu_hours": cost["gpu_s"] / _HOUR,
            }
            for stage, cost in stages.items()
        },
        "spent_cpu_hours": found.cpu_s / _HOUR,
        "spent_gpu_hours": found.gpu_s / _HOUR,
        "promised_cpu_hours": found.promised_cpu_s / _HOUR,
        "relaxations": found.relaxations,
        "left_for_relaxations": {
            "cpu_hours": None if left.cpu_s is None else max(left.cpu_s, 0.0) / _HOUR,
            "relaxations": left.relaxations,
        },
        "closed": closed_reason(campaign),
        "held": count_candidates(campaign, state=CandidateState.HELD),
        "expected": {
            "dos_cpu_s": costs.dos_cpu_s,
            "relax_learnt_from": costs.relax.n_learnt,
            "relax_exponents": {"atoms": costs.relax.exponents[0], "electrons": costs.relax.exponents[1]},
        },
    }


def format_budget(found: Mapping[str, Any]) -> Iterator[str]:
    """Yield the budget report as lines of text."""
    yield f"campaign {found['campaign']}: {found['spent_cpu_hours']:.3f} CPU-hours spent, including failed attempts"
    for stage, cost in found["stages"].items():
        gpu = f", {cost['gpu_hours']:.3f} GPU-hours" if cost["gpu_hours"] else ""
        yield f"  {stage}: {cost['cpu_hours']:.3f} CPU-hours{gpu} in {cost['attempts']} attempts"
    yield f"reserved for queued and running calculations: {found['promised_cpu_hours']:.3f} CPU-hours"
    yield f"relaxations of candidates started or queued: {found['relaxations']}"
    limits = {key: value for key, value in found["limits"].items() if value is not None and not key.endswith("_cpu_s")}
    yield "limits: " + (", ".join(f"{key} {value}" for key, value in limits.items()) or "none")
    left = found["left_for_relaxations"]
    if left["cpu_hours"] is not None:
        yield f"left for relaxations: {left['cpu_hours']:.3f} CPU-hours"
    if left["relaxations"] is not None:
        yield f"left for relaxations: {left['relaxations']} of them"
    if found["closed"]:
        yield f"nothing more is submitted: {found['closed']}"
    if found["held"]:
        yield (
            f"{format_count(found['held'], 'candidate')} held; raise a limit to release them, e.g. campaign budget "
            f"{found['campaign']} --cpu-hours ..."
        )
    learnt = found["expected"]["relax_learnt_from"]
    rests = (
        f"learnt from {learnt} that have finished"
        if learnt
        else "as assumed in the campaign file: none has finished yet"
    )
    yield f"expected costs of relaxations: {rests}; of a DOS: {found['expected']['dos_cpu_s']:.0f} CPU-s"
