"""What `campaign run` shows while it runs: the counts, the stages with their shares, what runs, the time left."""

import time
from collections.abc import Mapping
from dataclasses import dataclass

from campaign.store.campaigns import Campaign
from campaign.store.collections import now
from campaign.store.states import SCREENED, CandidateState
from campaign.views.status.counts import Status, status_of_counts
from campaign.views.status.funnel import Decided, count_decided
from campaign.views.status.running_jobs import RunningJob, running_jobs
from campaign.views.status.throughput import throughput
from campaign.views.status.time_left import TimeLeft, time_left

#: The rates are sums over the ledger, which grows; everything else is a count that an index answers.
_ESTIMATE_EVERY_S = 15.0
_HOUR_S = 3600.0


@dataclass(frozen=True, kw_only=True)
class StageShare:
    """How far a stage is: ``done`` of those that are to come through it, as known so far."""

    title: str
    done: int
    whole: int


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
        References, training sample, IS-DOS, decisions and relaxations, without those that the campaign has none of.
    jobs
        What runs or waits in a scheduler's queue, the oldest first.
    time_left
        As in `campaign status`, taken anew every 15 s; None where it is not asked for.
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
            stages=_stage_shares(status, counts, decided),
            jobs=running_jobs(campaign),
            time_left=self._time_left,
        )


def _stage_shares(status: Status, counts: Mapping[tuple[str, str], int], decided: Decided) -> list[StageShare]:
    """Return the stages of a campaign in their order; those that failed for good have come through theirs."""
    found = [_share("references", status.references)]
    if status.purpose == "screening":
        found.append(_share("training sample", status.bootstrap))
    if status.prefilter is not None:
        found.append(_share("prefilter", status.prefilter))
    if status.needs_dos:
        found.append(_share("IS-DOS", status.dos))
    if status.purpose == "screening":
        # without its IS-DOS a candidate is never decided on
        screened = sum(number for (role, _), number in counts.items() if role == SCREENED)
        to_decide = screened - counts.get((SCREENED, CandidateState.DOS_FAILED), 0)
        found.append(StageShare(title="decided on", done=min(decided.number, to_decide), whole=to_decide))
        found.append(StageShare(title="relaxed", done=decided.relaxed, whole=decided.sent))
    else:
        found.append(_share("relaxed", status.bootstrap))
    return [stage for stage in found if stage.whole]


def _share(title: str, counts: Mapping[str, int]) -> StageShare:
    return StageShare(title=title, done=counts["done"], whole=counts["all"])
