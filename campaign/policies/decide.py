"""Decisions: a policy's verdicts, ordered and limited by the budget, with an audit sample set aside.

Pure: the same policy, predictions, allowance and seed give the same decisions, in any order of the predictions.
"""

import hashlib
import math
from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass, fields, replace
from typing import Any, Literal

from campaign.policies.allowance import RemainingBudget
from campaign.policies.base import Policy, Prediction

Outcome = Literal["promoted", "rejected", "held"]

NO_PREDICTION = "no prediction: its features are missing or cannot be used (see the log of the Screen)"


@dataclass(frozen=True, kw_only=True)
class Decision:
    """Decision on one candidate.

    Attributes
    ----------
    candidate
        Id of the candidate.
    outcome
        ``promoted``: relaxed because the policy accepts it; ``rejected``: not accepted; ``held``: accepted, but the
        budget does not allow it (yet).
    audit
        Whether it is relaxed without being promoted, as part of the random sample that shows what the policy misses.
    rank
        Rank among the candidates decided on together, from 1; None without a prediction.
    reason
        The reason, in words and numbers.
    relax_cpu_s
        Expected cost of its relaxation at the time, CPU-s; 0 if already paid for.
    budget_before, budget_after
        CPU-seconds available before and after it; None if there is no limit or it takes nothing.
    """

    candidate: str
    outcome: Outcome
    audit: bool = False
    rank: int | None
    reason: str
    relax_cpu_s: float = 0.0
    budget_before: float | None = None
    budget_after: float | None = None

    @property
    def promoted(self) -> bool:
        """Whether the policy has it relaxed."""
        return self.outcome == "promoted"

    @property
    def relaxed(self) -> bool:
        """Whether it is relaxed: promoted, or in the audit sample."""
        return self.promoted or self.audit

    def to_dict(self) -> dict[str, Any]:
        """Return the stored fields, without the candidate's id."""
        return {"promoted": self.promoted, **{name: getattr(self, name) for name in _STORED}}


_STORED = tuple(field.name for field in fields(Decision) if field.name != "candidate")


def audit_draw(candidate: str, seed: int) -> float:
    """Return a number in [0, 1) that decides whether a candidate is audited; it depends on id and seed alone."""
    digest = hashlib.sha256(f"audit:{seed}:{candidate}".encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64


def decide(
    policy: Policy, predictions: Sequence[Prediction], *, allowance: RemainingBudget | None = None, seed: int = 0
) -> list[Decision]:
    """Decide on every candidate.

    First the audit sample of the rejected candidates is set aside, within its share of a limited budget. Then the
    accepted candidates are promoted in the order of the policy's priority, keeping enough to audit those after them;
    the first that exceeds the budget and all after it are held.

    Parameters
    ----------
    policy
        Judges and orders the candidates.
    predictions
        One for each candidate.
    allowance
        Available budget; not modified. If None, unlimited.
    seed
        Seed of the audit sample.

    Returns
    -------
    list of Decision
        One for each prediction, in the same order. A candidate without a prediction is rejected.
    """
    left = copy(allowance) if allowance is not None else RemainingBudget()
    for_audit = left.for_audit(policy.audit)
    known = sorted((p for p in predictions if p.is_known), key=lambda p: (policy.priority(p), p.id))
    ranks = {prediction.id: rank for rank, prediction in enumerate(known, start=1)}
    decisions: dict[str, Decision] = {}
    for prediction in predictions:
        promising_here, reason = policy.judge(prediction) if prediction.is_known else (False, NO_PREDICTION)
        outcome: Outcome = "held" if promising_here else "rejected"
        decisions[prediction.id] = Decision(
            candidate=prediction.id,
            outcome=outcome,
            rank=ranks.get(prediction.id),
            reason=reason,
            relax_cpu_s=prediction.to_pay_cpu_s,
        )
    promising = [prediction for prediction in known if decisions[prediction.id].outcome == "held"]
    drawn = {p.id for p in predictions if policy.audit and audit_draw(p.id, seed) < policy.audit}
    rejected = [p for p in predictions if decisions[p.id].outcome == "rejected"]
    _audit(decisions, rejected, drawn, left, for_audit, seed)
    held = _promote(decisions, promising, drawn, left, for_audit)
    _audit(decisions, held, drawn, left, for_audit, seed)
    return [decisions[prediction.id] for prediction in predictions]


def _promote(
    decisions: dict[str, Decision],
    promising: Sequence[Prediction],
    drawn: set[str],
    left: RemainingBudget,
    for_audit: RemainingBudget,
) -> list[Prediction]:
    """Promote accepted candidates in order while the budget allows; return those held."""
    audited_after = [p.to_pay_cpu_s if p.id in drawn else None for p in promising]
    reserved_cpu_s = sum(cost for cost in audited_after if cost is not None)
    reserved = sum(cost is not None for cost in audited_after)
    for place, prediction in enumerate(promising):
        cost = audited_after[place]
        if cost is not None:  # promoted or not, no place in the audit sample has to be kept for it any more
            reserved_cpu_s, reserved = reserved_cpu_s - cost, reserved - 1
        refused = left.refusal(
            prediction.to_pay_cpu_s,
            reserved_cpu_s=max(min(reserved_cpu_s, _or_infinite(for_audit.cpu_s)), 0.0),
            reserved=int(min(reserved, _or_infinite(for_audit.relaxations))),
        )
        if refused is not None:
            for later in promising[place:]:
                decision = decisions[later.id]
                decisions[later.id] = replace(decision, reason=f"{decision.reason}; held: {refused}")
            return list(promising[place:])
        decisions[prediction.id] = _taken(decisions[prediction.id], left, outcome="promoted")
    return []


def _or_infinite(limit: float | None) -> float:
    return math.inf if limit is None else limit


def _audit(
    decisions: dict[str, Decision],
    among: Sequence[Prediction],
    drawn: set[str],
    left: RemainingBudget,
    for_audit: RemainingBudget,
    seed: int,
) -> None:
    """Set the audit sample aside in the order of the draw, so that it stays random if the budget ends it early."""
    sample = [prediction for prediction in among if prediction.id in drawn]
    for prediction in sorted(sample, key=lambda p: audit_draw(p.id, seed)):
        decision = decisions[prediction.id]
        refused = left.refusal(prediction.to_pay_cpu_s)
        if refused is None and for_audit.refusal(prediction.to_pay_cpu_s) is not None:
            refused = "the audit's share of the budget is spent"
        if refused is not None:
            decisions[prediction.id] = replace(decision, reason=f"{decision.reason}; not audited: {refused}")
            continue
        for_audit.take(prediction.to_pay_cpu_s)
        decisions[prediction.id] = as_audited(_taken(decision, left))


def as_audited(decision: Decision) -> Decision:
    """Return the decision on a candidate that is relaxed for the audit alone."""
    return replace(decision, audit=True, reason=f"{decision.reason}; relaxed anyway: drawn for the audit")


def _taken(decision: Decision, left: RemainingBudget, *, outcome: Outcome | None = None) -> Decision:
    before = left.cpu_s
    left.take(decision.relax_cpu_s)
    return replace(decision, outcome=outcome or decision.outcome, budget_before=before, budget_after=left.cpu_s)
