"""Funnel of a campaign (figure 5a of the paper): candidates that passed each stage, and the whereabouts of the
others.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from campaign.policies.thresholds import Thresholds
from campaign.store.campaigns import Campaign
from campaign.store.counts import decisions_by_state
from campaign.store.prefilter.prefiltered import PrefilterCounts
from campaign.store.states import BEFORE_SCREEN, SCREENED, TRAINING, CandidateState
from campaign.views.figures.documents import CandidateColumns

_SENT = (CandidateState.PROMOTED, CandidateState.RELAX_RUNNING, CandidateState.RELAXED, CandidateState.RELAX_FAILED)


@dataclass(frozen=True, kw_only=True)
class FunnelStep:
    """One stage of the funnel.

    Attributes
    ----------
    key
        ``candidates``, ``prefilter`` (if there is one), ``dos``, ``decided``, ``promoted``, ``relaxed`` or ``stable``.
    title
        Title for users.
    number
        Candidates that have come so far.
    rest
        Label and number of candidates that reached this stage but did not pass it; zeros are omitted.
    """

    key: str
    title: str
    number: int
    rest: dict[str, int]


@dataclass(frozen=True, kw_only=True)
class Decided:
    """Candidates with a decision, by decision and current state.

    Attributes
    ----------
    promoted, not_promoted
        Number by state. One that was not promoted and is relaxed belongs to the audit.
    """

    promoted: dict[str, int]
    not_promoted: dict[str, int]

    @property
    def number(self) -> int:
        """Number of decided candidates."""
        return sum(self.promoted.values()) + sum(self.not_promoted.values())

    @property
    def audited(self) -> int:
        """Number of candidates not promoted, but relaxed for the audit."""
        return sum(self.not_promoted.get(state, 0) for state in _SENT)

    @property
    def sent(self) -> int:
        """Number of candidates sent to a relaxation, promoted or for the audit."""
        return sum(self.promoted.values()) + self.audited

    @property
    def relaxed(self) -> int:
        """Number of those whose relaxation has ended, failures included."""
        over = (CandidateState.RELAXED, CandidateState.RELAX_FAILED)
        return sum(found.get(state, 0) for found in (self.promoted, self.not_promoted) for state in over)


def count_decided(campaign: Campaign) -> Decided:
    """Return the number of decisions by state, from an index alone."""
    found = decisions_by_state(campaign)
    return Decided(promoted=found[True], not_promoted=found[False])


def funnel(
    campaign: Campaign,
    counts: Mapping[tuple[str, str], int],
    decided: Decided,
    *,
    stable: int,
    prefiltered: PrefilterCounts,
) -> list[FunnelStep]:
    """Return the stages of a campaign with their numbers.

    Parameters
    ----------
    counts
        Candidates by ``(role, state)``; the training sample of a screening campaign is not part of its funnel. Of a
        training set all candidates are relaxed, and none is decided on.
    stable
        Stable ones of the funnel's candidates.
    prefiltered
        Numbers of the prefilter.
    """
    is_screening = campaign.spec.purpose == "screening"
    role = SCREENED if is_screening else TRAINING
    states = {state: number for (of_role, state), number in counts.items() if of_role == role}
    whole = sum(states.values())
    steps = [FunnelStep(key="candidates", title="candidates", number=whole, rest={})]
    # a budget may hold candidates before their IS-DOS, which then have no decision
    held_before_dos = max(states.get(CandidateState.HELD, 0) - decided.not_promoted.get(CandidateState.HELD, 0), 0)
    not_through = sum(states.get(state, 0) for state in (*BEFORE_SCREEN, CandidateState.DOS_FAILED))
    through_dos = whole - not_through - held_before_dos - prefiltered.rejected
    if campaign.spec.prefilter is not None:
        rest = {"waiting for it": prefiltered.waiting, "rejected by it": prefiltered.rejected}
        steps.append(_step("prefilter", "passed the prefilter", prefiltered.passed + prefiltered.audited, rest))
    if campaign.spec.scorer.needs_dos:
        rest = {
            "waiting": max(states.get(CandidateState.NEW, 0) - prefiltered.waiting, 0),
            "queued or running": states.get(CandidateState.DOS_RUNNING, 0),
            "failed": states.get(CandidateState.DOS_FAILED, 0),
            "held by the budget": held_before_dos,
        }
        steps.append(_step("dos", "IS-DOS done", through_dos, rest))
    if is_screening:
        steps.extend(_decisions(states, decided))
    rest = {
        "waiting": states.get(CandidateState.PROMOTED, 0),
        "queued or running": states.get(CandidateState.RELAX_RUNNING, 0),
        "failed": states.get(CandidateState.RELAX_FAILED, 0),
    }
    steps.append(_step("relaxed", "relaxed", states.get(CandidateState.RELAXED, 0), rest))
    steps.append(_step("stable", "stable", stable, {}))
    return steps


def _decisions(states: Mapping[str, int], decided: Decided) -> list[FunnelStep]:
    promoted = sum(decided.promoted.values())
    rest = {
        "rejected": decided.not_promoted.get(CandidateState.REJECTED, 0),
        "held by the budget": decided.not_promoted.get(CandidateState.HELD, 0),
        "relaxed for the audit": decided.audited,
    }
    waiting = {"waiting for the Screen": states.get(CandidateState.DOS_DONE, 0)}
    return [_step("decided", "decided on", decided.number, waiting), _step("promoted", "promoted", promoted, rest)]


def _step(key: str, title: str, number: int, rest: Mapping[str, int]) -> FunnelStep:
    return FunnelStep(key=key, title=title, number=number, rest={what: n for what, n in rest.items() if n})


def passed_steps(columns: CandidateColumns, campaign: Campaign) -> dict[str, int]:
    """Return the number of candidates that have passed each step, by name, in order.

    Notes
    -----
    Promoted are those that the policy chose, so a candidate of the audit counts in none of the steps after it, and a
    stable one that was audited is none of the last step. Of a training set everything is relaxed.
    """
    spec = campaign.spec
    states = [document["state"] for document in columns.documents]
    relaxed = [state == CandidateState.RELAXED for state in states]
    if spec.purpose == "training_set":
        return {"candidates": len(columns), "relaxed": sum(relaxed), "stable": int(columns.stable.sum())}
    steps = {"candidates": int(columns.screened.sum())}
    if spec.scorer.needs_dos:
        failed = {*BEFORE_SCREEN, CandidateState.DOS_FAILED}
        after_dos = columns.screened & [state not in failed for state in states] & ~columns.prefiltered
        if spec.prefilter is not None:
            steps["passed the prefilter"] = int((columns.screened & ~columns.prefiltered).sum())
        steps["IS-DOS computed"] = int(after_dos.sum())
    decided = columns.decided
    steps["predicted"] = int((columns.screened & columns.predicted).sum())
    if isinstance(spec.policy, Thresholds):
        passed = decided & (columns.e_form_ml <= spec.policy.max_formation_energy)
        steps[f"E_f(ML) ≤ {spec.policy.max_formation_energy:g} eV/atom"] = int(passed.sum())
        passed &= columns.e_hull_ml <= spec.policy.max_hull_energy
        steps[f"and E_hull(ML) ≤ {spec.policy.max_hull_energy:g} eV/atom"] = int(passed.sum())
    promoted = decided & columns.promoted
    steps["promoted"] = int(promoted.sum())
    steps["relaxed"] = int((promoted & relaxed).sum())
    steps["stable (DFT)"] = int((promoted & columns.stable).sum())
    return steps
