"""State of a campaign from a few index counts, fast enough for `campaign run` to read every second.

The rest of `campaign status` is in `campaign.views.status.report`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from campaign.attempts.blocked import BLOCKED, Blocked, blocked
from campaign.recovery.stuck_workflows import next_try
from campaign.store.campaigns import Campaign
from campaign.store.collections import counts_by_state
from campaign.store.counts import (
    LIVE_FIREWORK_STATES,
    count_candidates,
    count_references,
    failures_by_kind,
    fireworks_by_state,
)
from campaign.store.listings import fizzled_firework
from campaign.store.prefilter.prefiltered import prefilter_counts
from campaign.store.states import BEFORE_SCREEN, BOOTSTRAP, SCREENED, CampaignState, CandidateState
from campaign.store.usage import cost_by_stage
from campaign.views.failures import pause_reason, stop_reason
from campaign.views.status.funnel import Decided, count_decided


@dataclass(frozen=True, kw_only=True)
class Status:
    """Counts and state of a campaign.

    Attributes
    ----------
    state
        ``running``, ``blocked`` or ``finished``.
    problem
        Reason why it cannot continue, or why part of it cannot, and the remedy; None if it can.
    blocked
        Failed references that it waits for, also while other calculations run; None if there are none.
    is_stopped
        Whether it submits nothing more because its calculations failed alike, or a person has stopped or archived it;
        `problem` says why.
    paused
        Who paused it with `campaign pause` and how to resume it; None if it is not paused.
    ends_running
        Whether the person who stopped it also wants running work to stop.
    engine, quality
        Engine and quality of the calculations.
    candidates
        Number of candidates by state.
    references, bootstrap
        ``{"done", "all"}``: phases of the reference set and structures of the training sample that are relaxed.
    dos, promoted
        ``{"done", "all"}``: candidates whose IS-DOS has ended, promoted ones whose relaxation has.
    fireworks
        Number of fireworks by FireWorks' state.
    stable
        Candidates found stable so far.
    failures
        ``science`` and ``machine``: candidates and references that failed permanently.
    cost
        Attempts and CPU-seconds by stage.
    model
        The model in use: its checksum, number of training structures, and ``number`` among the models that the campaign
        has had, the latest; None before there is a model.
    prefilter
        ``{"done", "all", "rejected", "audited"}``: candidates that the prefilter has looked at, and those that it
        rejects, without an IS-DOS or drawn for the audit; None if there is none.
    scorer
        Description of the scorer; None for a training set, which has none.
    needs_dos, needs_model
        Whether it needs an IS-DOS of every candidate, and the campaign's ESNet.
    """

    name: str
    state: str
    purpose: str
    problem: str | None
    blocked: Blocked | None
    is_stopped: bool
    paused: str | None
    ends_running: bool
    engine: str
    quality: str
    candidates: dict[str, int]
    references: dict[str, int]
    bootstrap: dict[str, int]
    dos: dict[str, int]
    promoted: dict[str, int]
    fireworks: dict[str, int]
    stable: int
    failures: dict[str, int]
    cost: dict[str, dict[str, float]]
    model: dict[str, Any] | None
    prefilter: dict[str, int] | None
    scorer: str | None
    needs_dos: bool
    needs_model: bool

    @property
    def cpu_s(self) -> float:
        """CPU-seconds of all stages, failed attempts included."""
        return sum(cost["cpu_s"] for cost in self.cost.values())

    @property
    def is_finished(self) -> bool:
        """Whether the campaign has finished."""
        return self.state == CampaignState.FINISHED

    @property
    def is_paused(self) -> bool:
        """Whether a user has paused the campaign, or nothing can run because of `lpad pause_wflows`."""
        if self.paused is not None:
            return True
        startable = any(self.fireworks.get(state) for state in LIVE_FIREWORK_STATES if state != "WAITING")
        return bool(self.fireworks.get("PAUSED")) and not startable and not self.is_stopped

    @property
    def paused_note(self) -> str | None:
        """Who has paused the campaign, or how many fireworks are paused, and how to resume; None if nothing is
        paused.
        """
        if self.paused is not None:
            return self.paused
        if self.is_stopped or not (paused := self.fireworks.get("PAUSED")):
            return None
        query = f"""{{"spec.campaign_name": "{self.name}", "state": "PAUSED"}}"""
        return f"{paused} fireworks are paused: `lpad resume_fws -q '{query}'` lets them run"

    @property
    def labelled_problem(self) -> tuple[str, str]:
        """Label and text of the problem, for displays with labels."""
        if self.blocked is not None and self.problem == str(self.blocked):
            return BLOCKED, self.blocked.why
        return "problem", self.problem or ""

    @property
    def can_go_on(self) -> bool:
        """Whether FireWorks has fireworks of this campaign that are running or can run."""
        return any(self.fireworks.get(state) for state in LIVE_FIREWORK_STATES)


def campaign_status(campaign: Campaign) -> Status:
    """Return the status of a campaign."""
    return status_of_counts(campaign, campaign.store.role_counts(campaign.name), count_decided(campaign))


def status_of_counts(campaign: Campaign, counts: Mapping[tuple[str, str], int], decided: Decided) -> Status:
    """Return the status for given numbers of candidates by ``(role, state)`` and of decisions."""
    document = campaign.document
    model = document.get("model")
    stop = document.get("stopped")
    promoted, paused, waits_for = decided.promoted, pause_reason(campaign), blocked(campaign)
    problem = stop_reason(campaign) or (None if waits_for is None else str(waits_for)) or _fizzled_problem(campaign)
    seen = prefilter_counts(campaign)
    dos = _done_of_all(counts, lambda role: role != BOOTSTRAP, lambda state: state not in BEFORE_SCREEN)
    return Status(
        name=campaign.name,
        state=BLOCKED if waits_for is not None and waits_for.is_all else document["state"],
        purpose=campaign.spec.purpose,
        problem=problem,
        blocked=waits_for,
        is_stopped=campaign.is_halted and paused is None,
        paused=paused,
        ends_running=stop is not None and bool(stop.get("ends_running")),
        engine=document["engine"],
        quality=document["quality"],
        candidates=counts_by_state(counts),
        references={"done": count_references(campaign, CandidateState.RELAXED), "all": count_references(campaign)},
        bootstrap=_done_of_all(counts, lambda role: role != SCREENED, lambda state: state == CandidateState.RELAXED),
        dos={key: number - seen.rejected for key, number in dos.items()},
        promoted={
            "done": sum(promoted.get(state, 0) for state in (CandidateState.RELAXED, CandidateState.RELAX_FAILED)),
            "all": sum(promoted.values()),
        },
        fireworks=fireworks_by_state(campaign),
        stable=count_candidates(campaign, stable=True),
        failures=failures_by_kind(campaign),
        cost=cost_by_stage(campaign),
        model=model
        and {
            "checksum": model["checksum"],
            "n_structures": model["n_structures"],
            "number": max(len(document.get("models") or []), 1),
            "source": model.get("source"),
        },
        prefilter=None
        if campaign.spec.prefilter is None
        else {"done": seen.seen, "all": seen.seen + seen.waiting, "rejected": seen.rejected, "audited": seen.audited},
        scorer=campaign.spec.scorer.describe() if campaign.spec.purpose == "screening" else None,
        needs_dos=campaign.spec.scorer.needs_dos,
        needs_model=campaign.spec.scorer.needs_model,
    )


def _fizzled_problem(campaign: Campaign) -> str | None:
    """Return the remedy for a fizzled step or recording firework, or None."""
    firework = fizzled_firework(campaign)
    if firework is None:
        return None
    where = f" on {firework['host']}" if firework["host"] else ""
    due = next_try(campaign, firework)
    then = "no retries are left" if due is None else f"it is retried at {due:%H:%M:%S} UTC"
    return (
        f"firework {firework['fw_id']} ({firework['name']}) fizzled{where}: {firework['reason']}; {then}. "
        f"Fix the cause, then `lpad rerun_fws -i {firework['fw_id']}`"
    )


def _done_of_all(
    counts: Mapping[tuple[str, str], int], of_role: Callable[[str], bool], is_done: Callable[[str], bool]
) -> dict[str, int]:
    return {
        "done": sum(number for (role, state), number in counts.items() if of_role(role) and is_done(state)),
        "all": sum(number for (role, _), number in counts.items() if of_role(role)),
    }
