"""Stable materials found over CPU-hours spent: what a campaign is for, over what it costs."""

from collections import Counter
from dataclasses import dataclass
from datetime import datetime

from campaign.store.activity.ledger import active_until, cpu_seconds_over_time, discoveries_over_time
from campaign.store.campaigns import Campaign
from campaign.store.collections import in_utc

_MOST_POINTS = 300
_HOUR_S = 3600.0


@dataclass(frozen=True, kw_only=True)
class Discoveries:
    """A curve from nothing to now; lists of one length, rising.

    Attributes
    ----------
    cpu_hours
        Spent by then, all attempts of all stages.
    found
        Stable materials by then.
    times
        When, UTC; None at the beginning and now.
    """

    cpu_hours: list[float]
    found: list[int]
    times: list[datetime | None]


def discoveries(campaign: Campaign, *, at: datetime) -> Discoveries | None:
    """Sum up ledger and results over time; None where nothing has been spent yet.

    The curve's last point is what `campaign status` says: what has no time, such as what is running, is added there.
    """
    created = campaign.document.get("created")
    # of a campaign at rest the curve ends where its last attempt did, however long ago that was
    end = active_until(campaign, at=at) or at
    age_s = 0.0 if created is None else (end - in_utc(created)).total_seconds()
    width_s = max(age_s / _MOST_POINTS, 1.0)
    spent, found = (
        Counter({part.start: part.total for part in over_time(campaign, width_s=width_s)})
        for over_time in (cpu_seconds_over_time, discoveries_over_time)
    )
    if not sum(spent.values()):
        return None
    times = sorted(time for time in spent.keys() | found.keys() if time is not None)
    curve = Discoveries(cpu_hours=[0.0], found=[0], times=[None])
    for time in [*times, None]:
        curve.cpu_hours.append(curve.cpu_hours[-1] + spent[time] / _HOUR_S)
        curve.found.append(curve.found[-1] + round(found[time]))
        curve.times.append(time)
    return curve
