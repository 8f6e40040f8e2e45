"""Rate of a campaign, from the calculations that finished in the last hours."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from campaign.store.campaigns import Campaign
from campaign.store.collections import in_utc
from campaign.store.counts import ended_attempts

#: Hours over which rates are averaged: the fewest in which `_ENOUGH` calculations finished, otherwise the most.
_WINDOWS_H = (1.0, 6.0, 24.0)
_ENOUGH = 10
#: Calculations; steps are left out, since a Screen says nothing about how fast structures are computed.
CALCULATIONS = ("dos", "relax", "rs_dos")
#: Outcomes after which a calculation is not repeated.
_FINAL = ("completed", "science")
_HOUR_S = 3600.0


@dataclass(frozen=True, kw_only=True)
class StageRate:
    """Rate of one kind of calculation.

    Attributes
    ----------
    ended
        Calculations completed or ended by a science failure in the last 24 h.
    failed
        Attempts that failed in the last 24 h, including retried ones.
    per_hour
        Calculations ended for good per hour, averaged over the window.
    mean_cpu_s
        CPU-s of all attempts so far per ended calculation; None before the first.
    ended_so_far
        Calculations completed or ended by a science failure since the start, on which that mean is based.
    """

    ended: int
    failed: int
    per_hour: float
    mean_cpu_s: float | None
    ended_so_far: int


@dataclass(frozen=True, kw_only=True)
class Throughput:
    """Recent throughput.

    Attributes
    ----------
    hours
        Window of the rates, h: 1, 6 or 24, shorter if the campaign is younger; None if nothing ended in 24 h.
    stages
        By stage: ``dos``, ``relax``, ``rs_dos``; only those with a started calculation.
    cpu_hours_per_hour
        CPU-hours of the calculations that ended in the window, failed attempts included, per hour of it, i.e. the
        number of busy cores. None if nothing ended.
    """

    hours: float | None
    stages: dict[str, StageRate]
    cpu_hours_per_hour: float | None


@dataclass(frozen=True, kw_only=True)
class _Group:
    ended: int = 0
    failed: int = 0
    cpu_s: float = 0.0

    def __add__(self, other: _Group) -> _Group:
        return _Group(ended=self.ended + other.ended, failed=self.failed + other.failed, cpu_s=self.cpu_s + other.cpu_s)


def throughput(campaign: Campaign, *, at: datetime) -> Throughput:
    """Return the rates of recently finished work."""
    lately = {hours: _ended_since(campaign, at - timedelta(hours=hours)) for hours in _WINDOWS_H}
    total = _ended_since(campaign, None)
    window = next((hours for hours in _WINDOWS_H if _ended(lately[hours]) >= _ENOUGH), _WINDOWS_H[-1])
    found, day = lately[window], lately[_WINDOWS_H[-1]]
    hours = _shortened(campaign, window, at) if _ended(found) else None
    return Throughput(
        hours=hours,
        stages={
            stage: StageRate(
                ended=day.get(stage, _Group()).ended,
                failed=day.get(stage, _Group()).failed,
                per_hour=found.get(stage, _Group()).ended / hours if hours else 0.0,
                mean_cpu_s=total[stage].cpu_s / total[stage].ended if total[stage].ended else None,
                ended_so_far=total[stage].ended,
            )
            for stage in CALCULATIONS
            if stage in total
        },
        cpu_hours_per_hour=sum(group.cpu_s for group in found.values()) / _HOUR_S / hours if hours else None,
    )


def _ended(groups: Mapping[str, _Group]) -> int:
    return sum(group.ended for group in groups.values())


def _ended_since(campaign: Campaign, since: datetime | None) -> dict[str, _Group]:
    """Return, by stage, everything that ended since then, in any way; None means since the start."""
    found: dict[str, _Group] = {}
    for (stage, outcome), (number, cpu_s) in ended_attempts(campaign, CALCULATIONS, since=since).items():
        ended, failed = outcome in _FINAL, outcome not in ("completed", "stopped")
        this = _Group(ended=ended * number, failed=failed * number, cpu_s=cpu_s)
        found[stage] = found.get(stage, _Group()) + this
    return found


def _shortened(campaign: Campaign, hours: float, at: datetime) -> float:
    """Return the window in hours, at most the age of the campaign."""
    created = campaign.document.get("created")
    age = hours if created is None else (at - in_utc(created)).total_seconds() / _HOUR_S
    return max(min(hours, age), 1.0 / 60.0)
