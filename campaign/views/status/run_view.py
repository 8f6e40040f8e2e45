"""State shown by `campaign run`: counts, progress of the stages, jobs and time left."""

import time
from dataclasses import dataclass

from campaign.store.campaigns import Campaign
from campaign.store.collections import now
from campaign.store.states import SCREENED, CandidateState
from campaign.views.status.counts import Status, status_of_counts
from campaign.views.status.funnel import count_decided
from campaign.views.status.running_jobs import RunningJob, running_jobs
from campaign.views.status.scoring import count_undecided
from campaign.views.status.stages import StageShare, stage_shares
from campaign.views.status.throughput import throughput
from campaign.views.status.time_left import TimeLeft, time_left

#: The rates are sums over the ledger, which grows; everything else is a count that an index answers.
_ESTIMATE_EVERY_S = 15.0
_HOUR_S = 3600.0


@dataclass(frozen=True, kw_only=True)
class RunView:
    """A campaign at one moment.

    Attributes
    ----------
    campaign
        The campaign as read.
    status
        The counts, those of `campaign status`.
    stages
        References, training sample, IS-DOS, predictions while a Screen makes them, decisions and relaxations, without
        stages the campaign does not have.
    jobs
        Jobs that run or wait in a scheduler's queue, the oldest first.
    time_left
        As in `campaign status`, updated every 15 s; None if not requested.
    """

    campaign: Campaign
    status: Status
    stages: list[StageShare]
    jobs: list[RunningJob]
    time_left: TimeLeft | None


class RunWatch:
    """Provider of successive views of a campaign; expensive queries are made only now and then."""

    def __init__(self) -> None:
        self._estimated = -_ESTIMATE_EVERY_S
        self._time_left: TimeLeft | None = None

    def look(self, campaign: Campaign) -> RunView:
        """Return the current view of the campaign."""
        counts, decided = campaign.store.role_counts(campaign.name), count_decided(campaign)
        predicted = count_undecided(campaign, ready=counts.get((SCREENED, CandidateState.DOS_DONE), 0))
        status = status_of_counts(campaign, counts, decided)
        if status.is_finished or time.monotonic() - self._estimated >= _ESTIMATE_EVERY_S:
            self._estimated = time.monotonic()
            self._time_left = time_left(
                campaign,
                counts,
                throughput(campaign, at=now()),
                decided=decided.number,
                sent=decided.sent,
                spent_cpu_hours=status.cpu_s / _HOUR_S,
                blocked=status.blocked,
            )
        return RunView(
            campaign=campaign,
            status=status,
            stages=stage_shares(status, counts, decided, predicted=predicted),
            jobs=running_jobs(campaign),
            time_left=self._time_left,
        )
