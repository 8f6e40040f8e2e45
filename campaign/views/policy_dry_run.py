"""Comparison of another policy's decisions now with the actual decisions."""

from collections import Counter
from dataclasses import dataclass
from typing import Any

from rich.table import Table

from campaign.budget.decision_document import is_persons, prediction_of
from campaign.budget.limits import closed_reason, current_budget, expected_costs
from campaign.budget.spent import usage
from campaign.policies.allowance import RemainingBudget, hours_for_relaxations
from campaign.policies.base import NoUncertaintyError, Policy, without_uncertainty
from campaign.policies.decide import Decision, decide
from campaign.store.campaigns import Campaign
from campaign.store.listings import predicted_candidates
from campaign.store.states import SCREENED


@dataclass(frozen=True, kw_only=True)
class Difference:
    """Candidate on which another policy decides differently; energies in eV/atom."""

    id: str
    formula: str
    prototype: str
    e_form_ml: float | None
    e_hull_ml: float | None
    now: str
    would_be: str
    reason: str
    stable: bool | None


@dataclass(frozen=True, kw_only=True)
class DryRun:
    """Decisions of another policy.

    Attributes
    ----------
    policy
        Description of the policy.
    now, would_be
        Number of candidates by decision, at present and with the other policy.
    relax_cpu_s
        Expected cost of all its relaxations, CPU-s.
    known_stable
        Numbers of known stable candidates that it would relax and that it would omit.
    differences
        Candidates with a different decision, the best first.
    """

    policy: str
    now: dict[str, int]
    would_be: dict[str, int]
    relax_cpu_s: float
    known_stable: tuple[int, int]
    differences: list[Difference]


def dry_run(campaign: Campaign, policy: Policy) -> DryRun:
    """Return another policy's decisions on all candidates with a prediction, as if none had been decided on.

    The budget in force holds, without what relaxations of screened candidates have cost. Nothing is written.
    """
    fields = ["formula", "prototype", "prediction", "decision", "state", "result.stable", "prefilter"]
    documents = {found["_id"]: found for found in predicted_candidates(campaign, fields, role=SCREENED)}
    predictions = [prediction_of(document) for document in documents.values()]
    if policy.needs_uncertainty() and predictions and all(found.uncertainty is None for found in predictions):
        raise NoUncertaintyError(f"{without_uncertainty(policy.kind)}; {policy.kind}:uncertainty=0.3 assumes one")
    allowance = _whole_allowance(campaign, policy)
    decisions = decide(policy, predictions, allowance=allowance, seed=campaign.spec.seed)
    relaxed = {decision.candidate: decision for decision in decisions if decision.relaxed}
    stable = {key for key, document in documents.items() if (document.get("result") or {}).get("stable")}
    differences = [
        _difference(documents[decision.candidate], decision)
        for decision in sorted(decisions, key=lambda decision: (decision.rank is None, decision.rank))
        if word_of(found := documents[decision.candidate].get("decision")) != _word(decision) and not is_persons(found)
    ]
    return DryRun(
        policy=policy.describe(),
        now=dict(Counter(word_of(document.get("decision")) for document in documents.values())),
        would_be=dict(Counter(_word(decision) for decision in decisions)),
        relax_cpu_s=sum(decision.relax_cpu_s for decision in relaxed.values()),
        known_stable=(len(stable & relaxed.keys()), len(stable - relaxed.keys())),
        differences=differences,
    )


def _whole_allowance(campaign: Campaign, policy: Policy) -> RemainingBudget:
    budget = current_budget(campaign)
    found = usage(campaign, expected_costs(campaign))
    allowance = RemainingBudget(relaxations=budget.relaxations)
    # a stop rule that the campaign's own relaxations have fulfilled says nothing about another policy; a date does
    if budget.until is not None and (closed := closed_reason(campaign)) and "ended on" in closed:
        allowance.closed = closed
    if budget.cpu_hours is not None:
        other = found.cpu_s - found.relax_cpu_s + found.promised_cpu_s - found.promised_relax_cpu_s
        allowance.cpu_s = budget.cpu_hours * 3600.0 - other
    hours = hours_for_relaxations(budget, policy)
    return allowance if hours is None else allowance.tighter(RemainingBudget(cpu_s=hours * 3600.0))


def word_of(decision: dict[str, Any] | None) -> str:
    """Return a stored decision in one word; ``waiting`` if there is none, ``person`` if a user promoted the
    candidate.
    """
    if not decision:
        return "waiting"
    if is_persons(decision) and decision["promoted"]:
        return "person"
    if decision.get("audit"):
        return "audit"
    return str(decision.get("outcome") or ("promoted" if decision["promoted"] else "rejected"))


def _word(decision: Decision) -> str:
    return "audit" if decision.audit else decision.outcome


def _difference(document: dict[str, Any], decision: Decision) -> Difference:
    prediction = prediction_of(document)
    return Difference(
        id=document["_id"],
        formula=document["formula"],
        prototype=document["prototype"],
        e_form_ml=prediction.e_form if prediction.is_known else None,
        e_hull_ml=prediction.e_hull if prediction.is_known else None,
        now=word_of(document.get("decision")),
        would_be=_word(decision),
        reason=decision.reason,
        stable=(document.get("result") or {}).get("stable"),
    )


def differences_table(found: DryRun, *, limit: int | None) -> Table:
    """Return the differing decisions as a table for the terminal."""
    table = Table(title="different decisions (energies in eV/atom)", title_justify="left", box=None)
    for heading in ("formula", "prototype", "E_f(ML)", "E_hull(ML)", "now", "would be", "DFT", "because"):
        table.add_column(heading, justify="right" if heading.startswith("E_") else "left", no_wrap=heading != "because")
    for row in found.differences[:limit]:
        energies = ["" if value is None else f"{value:+.3f}" for value in (row.e_form_ml, row.e_hull_ml)]
        truth = {True: "stable", False: "not stable", None: ""}[row.stable]
        table.add_row(row.formula, row.prototype, *energies, row.now, row.would_be, truth, row.reason)
    return table
