"""The three ways in which people run a campaign; each starts again what has ended, as its user would."""

from __future__ import annotations

import time
from typing import Protocol

from chaos_place import NAME, Place
from cluster_workplace import MEMORY, QUEUES

#: A rapidfire leaves it to cron to look after what was killed.
_RECONCILE_S = 15.0


class Way(Protocol):
    """How a campaign is run."""

    def begin(self, place: Place) -> None:
        """Do what is done once."""

    def keep_going(self, place: Place) -> int:
        """Start what has ended, or was not started yet; return how many commands that were."""


class CampaignRun:
    """`campaign run FILE`, again and again."""

    def begin(self, place: Place) -> None:
        """Nothing is done before."""

    def keep_going(self, place: Place) -> int:
        """Have one `campaign run` at work."""
        place.reap()
        if place.commands:
            return 0
        place.start("campaign", "run", str(place.file), "--workers", "2", "--directory", str(place.runs))
        return 1


class TwoRapidfires:
    """`campaign submit`, then two `rlaunch rapidfire` at the same time, and `campaign reconcile` now and then."""

    def __init__(self) -> None:
        self._looked = time.monotonic()

    def begin(self, place: Place) -> None:
        """Submit."""
        place.say("campaign", "submit", str(place.file))

    def keep_going(self, place: Place) -> int:
        """Have two rapidfires at work; reconcile when one has ended, and as often as cron would."""
        place.reap()
        missing = 2 - sum(command.label.endswith("rlaunch-l") for command in place.commands)
        if missing or time.monotonic() - self._looked > _RECONCILE_S:
            self._looked = time.monotonic()
            place.say("campaign", "reconcile", NAME)
        options = ("rapidfire", "--nlaunches", "infinite", "--sleep", "1")
        for _ in range(missing):
            place.start("rlaunch", "-l", str(place.launchpad), *options, cwd=place.runs)
        return missing


class ClusterRun:
    """`campaign cluster run` over the queues of the test SLURM."""

    def begin(self, place: Place) -> None:
        """Make the launch files, and submit the campaign."""
        words = ("--scheduler", "slurm", *QUEUES, *MEMORY, "--name", "cluster", "--walltime", "00:05:00")
        place.say("campaign", "cluster", "init", "cluster", *words)
        place.say("campaign", "submit", str(place.file))

    def keep_going(self, place: Place) -> int:
        """Have one `campaign cluster run` at work."""
        place.reap()
        if place.commands:
            return 0
        place.start("campaign", "cluster", "run", "cluster", "--every", "3")
        return 1


WAYS: dict[str, type[CampaignRun] | type[TwoRapidfires] | type[ClusterRun]] = {
    "run": CampaignRun,
    "rapidfire": TwoRapidfires,
    "cluster": ClusterRun,
}
