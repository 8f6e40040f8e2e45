"""What all actors of a pool have: a title, a log, and what their process has used."""

import logging
import resource
import time
import uuid
from typing import Any

from esnet.scoring.pool import Answer


class PoolActor:
    """Runs inside a Ray actor; one that scores adds ``ready()`` and ``score(asked)``.

    Parameters
    ----------
    title
        Name of the actor, in its log and in Ray's errors.
    """

    _title = "scorer"  # Ray names the actor in the error of a constructor that never ran, too

    def __init__(self, title: str) -> None:
        # this process is Ray's and has no handler; the dashboard shows an actor's log
        logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
        self._title = title
        self._name, self._started = uuid.uuid4().hex, time.monotonic()

    def __repr__(self) -> str:
        return self._title

    def _answer(self, results: list[Any]) -> Answer:
        used = resource.getrusage(resource.RUSAGE_SELF)
        return Answer(
            predictions=results,
            actor=self._name,
            cpu_s=used.ru_utime + used.ru_stime,
            wall_s=time.monotonic() - self._started,
        )
