"""Base class of the actors in a pool: title, log, and resource usage of their process."""

import logging
import resource
import time
import uuid
from typing import Any

from esnet.scoring.pool import Answer


class PoolActor:
    """Base class of a Ray actor; subclasses add ``ready()`` and ``score(asked)``.

    Parameters
    ----------
    title
        Name of the actor, in its log and in Ray's errors.
    """

    _title = "scorer"  # Ray also uses it in the error of a constructor that never ran

    def __init__(self, title: str) -> None:
        # Ray's worker process has no log handler; the dashboard shows an actor's log
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
