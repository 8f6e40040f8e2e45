"""What `campaign run` shows while it runs: the counts, the stages with their shares, what runs, the time left."""

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
        As it was read for this.
    status
        The counts, those of `campaign status`.
    stages
        References, training sample, IS-DOS, predictions where a Screen is at them, decisions and relaxations, without
        those that the campaign has none of.
    jobs
        What runs or waits in a scheduler's queue, the oldest first.
    time_left
        As in `campaign status`, updated every 15 s; None where it is not asked for.
    """

    campaign: Campaign
    status: Status
    stages: list[StageShare]
    jobs: list[RunningJob]
    time_left: TimeLeft | None


class RunWatch:
    """Takes one view after the other of a campaign; what would burden a large database is asked now and then."""

    def __init__(self) -> None:
        self._estimated = -_ESTIMATE_EVERY_S
        self._time_left: TimeLeft | None = None

    def look(self, campaign: Campaign) -> RunView:
        """Return how the campaign is now."""
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
            )
        return RunView(
            campaign=campaign,
            status=status,
            stages=stage_shares(status, counts, decided, predicted=predicted),
            jobs=running_jobs(campaign),
            time_left=self._time_left,
        )
