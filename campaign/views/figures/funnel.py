"""The funnel of the paper's Figure 5a: how many candidates are left after each step of the screening."""

from __future__ import annotations

from dataclasses import dataclass

from campaign.policies.thresholds import Thresholds
from campaign.store.campaigns import Campaign
from campaign.store.states import BEFORE_SCREEN
from campaign.views.figures.documents import CandidateColumns


@dataclass(frozen=True, kw_only=True)
class Funnel:
    """The steps of a screening.

    Attributes
    ----------
    steps
        What each step is called, in the order in which a candidate meets them.
    counts
        Candidates that have passed it, for each.
    """

    steps: list[str]
    counts: list[int]


def funnel(columns: CandidateColumns, campaign: Campaign) -> Funnel:
    """Count the candidates after each step.

    Notes
    -----
    Promoted are those that the policy chose, so a candidate of the audit counts in none of the steps after it, and a
    stable one that was audited is none of the last step. Of a training set everything is relaxed.
    """
    spec = campaign.spec
    documents = columns.documents
    if spec.purpose == "training_set":
        relaxed = [document["state"] == "relaxed" for document in documents]
        steps = {"candidates": len(columns)}
        steps |= {"relaxed": sum(relaxed), "stable": int(columns.stable.sum())}
        return Funnel(steps=list(steps), counts=list(steps.values()))
    steps = {"candidates": int(columns.screened.sum())}
    if spec.scorer.needs_dos:
        failed = {*BEFORE_SCREEN, "dos_failed"}
        done = [document["state"] not in failed for document in documents]
        steps["IS-DOS computed"] = sum(one and bool(role) for one, role in zip(done, columns.screened, strict=True))
    decided = columns.decided
    steps["predicted"] = int((columns.screened & columns.predicted).sum())
    if isinstance(spec.policy, Thresholds):
        passed = decided & (columns.e_form_ml <= spec.policy.max_formation_energy)
        steps[f"E_f(ML) ≤ {spec.policy.max_formation_energy:g} eV/atom"] = int(passed.sum())
        passed &= columns.e_hull_ml <= spec.policy.max_hull_energy
        steps[f"and E_hull(ML) ≤ {spec.policy.max_hull_energy:g} eV/atom"] = int(passed.sum())
    promoted = decided & columns.promoted
    relaxed_states = [document["state"] == "relaxed" for document in documents]
    steps["promoted"] = int(promoted.sum())
    steps["relaxed"] = int((promoted & relaxed_states).sum())
    steps["stable (DFT)"] = int((promoted & columns.stable).sum())
    return Funnel(steps=list(steps), counts=list(steps.values()))
