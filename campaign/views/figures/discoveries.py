"""Stable materials found as a function of the CPU-hours spent."""

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
    """Discovery curve from the start until now, as increasing lists of equal length.

    Attributes
    ----------
    cpu_hours
        CPU-hours spent by then, all attempts of all stages.
    found
        Stable materials by then.
    times
        When, UTC; None at the beginning and now.
    """

    cpu_hours: list[float]
    found: list[int]
    times: list[datetime | None]


def discoveries(campaign: Campaign, *, at: datetime) -> Discoveries | None:
    """Return the curve of a campaign's discoveries over its cost, or None if nothing has been spent yet.

    The last point equals `campaign status`, since costs without an end time, e.g. of running work, are added there.
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
