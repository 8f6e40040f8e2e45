"""Rejected candidates whose prediction is too uncertain to reject them: what marks them, and what to do about them."""

from collections.abc import Mapping
from typing import Any

from campaign.budget.decision_document import is_persons, is_prefilters, prediction_of
from campaign.config.wording import format_count
from campaign.policies.base import Policy
from campaign.store.states import CandidateState

MARK = "?"


def near_threshold(document: Mapping[str, Any], policy: Policy) -> bool | None:
    """Return whether a rejected candidate is within one standard deviation of being promoted.

    Parameters
    ----------
    document
        The candidate's, with ``state``, ``decision``, ``prediction`` and ``prefilter.outcome``.
    policy
        The policy in force.

    Returns
    -------
    bool or None
        None if no policy has rejected it, or its prediction has no standard deviation.
    """
    decision, prediction = document.get("decision"), document.get("prediction") or {}
    if document.get("state") != CandidateState.REJECTED or is_persons(decision) or is_prefilters(decision):
        return None
    return policy.is_near(prediction_of(document)) if prediction.get("uncertainty") else None


def what_to_do(name: str, candidate: str = "FORMULA:PROTOTYPE") -> str:
    """Return the commands that relax such candidates: one, the probable ones, or a random sample."""
    return (
        f"relax one: campaign promote {name} {candidate} --reason TEXT; relax all that are stable with a probability "
        f"of 0.16 or more: campaign set {name} policy.kind=probability policy.p=0.16 --redecide; relax a random "
        f"fraction of the rejected: campaign set {name} policy.audit=0.1 --redecide"
    )


def near_note(number: int, name: str) -> str:
    """Return the lines below a table of this number of marked candidates."""
    marked = f"rejected{MARK} ({format_count(number, 'candidate')}): within one standard deviation of being promoted"
    return f"\n{marked}, so the prediction cannot decide; {what_to_do(name)}"
