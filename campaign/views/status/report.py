"""The numbers of `campaign status`: progress, running jobs, discoveries, and the time left.

More than `campaign.views.status.counts` counts, and still under a few seconds with 100,000 candidates: every count
is answered by an index, and documents are read only of what runs, has failed or is relaxed.
"""

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from campaign.budget.limits import closed_reason, current_budget, relaxation_cpu_hours
from campaign.store.campaigns import Campaign
from campaign.store.collections import now
from campaign.store.counts import count_candidates
from campaign.store.prefilter.prefiltered import prefilter_counts
from campaign.store.states import SCREENED, TRAINING, CandidateState
from campaign.views.history import campaign_history
from campaign.views.reused import format_reused
from campaign.views.status.counts import Status, status_of_counts
from campaign.views.status.funnel import FunnelStep, count_decided, funnel
from campaign.views.status.prediction_quality import PredictionQuality, prediction_quality
from campaign.views.status.recalibration import Recalibration, last_recalibration
from campaign.views.status.recent_events import (
    Discovery,
    Failure,
    FailureCount,
    discoveries_of_a_day,
    failure_counts,
    newest_discoveries,
    newest_failures,
    newest_retried,
)
from campaign.views.status.running_jobs import Queue, RunningJob, queues, running_jobs
from campaign.views.status.scoring import ScoringProgress, scoring_progress
from campaign.views.status.stages import StageShare, stage_shares
from campaign.views.status.throughput import Throughput, throughput
from campaign.views.status.time_left import TimeLeft, time_left

_NEWEST, _CHANGES = 5, 3
_HOUR_S = 3600.0


@dataclass(frozen=True, kw_only=True)
class Budget:
    """CPU-hours of the ledger, all attempts of all stages, and their limits.

    Attributes
    ----------
    spent_cpu_hours, spent_gpu_hours
        So far.
    cpu_hours, relaxation_cpu_hours
        Limits for the whole campaign and for relaxations of candidates; None: no limit.
    left_cpu_hours
        Of the first, 0 if exceeded; None if there is no limit. What is queued or runs is not taken off: `campaign
        budget` says what that is expected to cost.
    closed
        Reason why nothing more is submitted; None if the budget is open.
    """

    spent_cpu_hours: float
    spent_gpu_hours: float
    cpu_hours: float | None
    relaxation_cpu_hours: float | None
    left_cpu_hours: float | None
    closed: str | None


@dataclass(frozen=True, kw_only=True)
class StatusReport:
    """Content of `campaign status`.

    Attributes
    ----------
    status
        The counts.
    at
        When they were taken, UTC, ISO 8601.
    funnel
        Candidates by stage.
    stages
        Progress of each stage.
    pace
        Rates of the last hours.
    time_left
        Estimated from them.
    budget
        Spent and remaining CPU-hours.
    queues, jobs
        What runs, waits and is ready, by category; every job that runs or is reserved.
    failures, newest_failures
        Counts by stage and kind of what failed permanently, and the newest.
    newest_retried
        Attempts that failed on their machine in the last 24 h and are tried again, the newest.
    discoveries, discoveries_24h
        The newest stable materials, and how many were found in the last 24 h.
    reused
        Description of the calculations reused from other campaigns; None if there are none.
    scoring
        Undecided predictions of Screens, and their rate.
    predictions, predictions_of_model
        Errors of the predictions: all of the campaign, and those of the model in use.
    changes
        Latest changes by users, the oldest first (`campaign.views.history`).
    recalibration
        Last fit that corrects predictions; None if there is none.
    """

    status: Status
    at: str
    funnel: list[FunnelStep]
    stages: list[StageShare]
    pace: Throughput
    time_left: TimeLeft
    budget: Budget
    queues: list[Queue]
    jobs: list[RunningJob]
    failures: list[FailureCount]
    newest_failures: list[Failure]
    newest_retried: list[Failure]
    discoveries: list[Discovery]
    discoveries_24h: int
    reused: str | None
    scoring: ScoringProgress
    predictions: PredictionQuality
    predictions_of_model: PredictionQuality
    changes: list[dict[str, Any]]
    recalibration: Recalibration | None = None

    @property
    def n_failed(self) -> int:
        """Number of permanently failed calculations."""
        return sum(count.number for count in self.failures)

    def to_dict(self) -> dict[str, Any]:
        """Return everything as JSON types; the counts are at the top level."""
        found = asdict(self)
        # the counts of `Status` have the name ``failures`` already, by kind alone
        found["failures_by_stage"] = found.pop("failures")
        return {**found.pop("status"), **found}


def status_report(campaign: Campaign, *, at: datetime | None = None) -> StatusReport:
    """Return the numbers of `campaign status`; the campaign is not changed.

    Parameters
    ----------
    at
        End of the time windows, UTC; default: now.
    """
    time = at or now()
    counts, decided = campaign.store.role_counts(campaign.name), count_decided(campaign)
    status = status_of_counts(campaign, counts, decided)
    scoring = scoring_progress(campaign, ready=counts.get((SCREENED, CandidateState.DOS_DONE), 0), at=time)
    pace = throughput(campaign, at=time)
    budget = _budget(campaign, status)
    jobs = running_jobs(campaign)
    predictions, of_model = prediction_quality(campaign, model=campaign.model_checksum)
    role = SCREENED if campaign.spec.purpose == "screening" else TRAINING
    return StatusReport(
        status=status,
        at=time.isoformat(),
        funnel=funnel(
            campaign,
            counts,
            decided,
            stable=count_candidates(campaign, stable=True, role=role),
            prefiltered=prefilter_counts(campaign),
        ),
        stages=stage_shares(status, counts, decided, predicted=scoring.predicted),
        pace=pace,
        time_left=time_left(
            campaign,
            counts,
            pace,
            decided=decided.number,
            sent=decided.sent,
            spent_cpu_hours=budget.spent_cpu_hours,
            blocked=status.blocked,
        ),
        budget=budget,
        queues=queues(campaign, jobs),
        jobs=jobs,
        failures=failure_counts(campaign),
        newest_failures=newest_failures(campaign, number=_NEWEST),
        newest_retried=newest_retried(campaign, at=time, number=_NEWEST),
        discoveries=newest_discoveries(campaign, number=_NEWEST),
        discoveries_24h=discoveries_of_a_day(campaign, at=time),
        reused=format_reused(campaign),
        scoring=scoring,
        predictions=predictions,
        predictions_of_model=of_model,
        changes=campaign_history(campaign, newest=_CHANGES),
        recalibration=last_recalibration(campaign),
    )


def _budget(campaign: Campaign, status: Status) -> Budget:
    spent = status.cpu_s / _HOUR_S
    limit = current_budget(campaign).cpu_hours
    return Budget(
        spent_cpu_hours=spent,
        spent_gpu_hours=sum(cost["gpu_s"] for cost in status.cost.values()) / _HOUR_S,
        cpu_hours=limit,
        relaxation_cpu_hours=relaxation_cpu_hours(campaign),
        left_cpu_hours=None if limit is None else max(limit - spent, 0.0),
        closed=None if status.is_finished else closed_reason(campaign),
    )
