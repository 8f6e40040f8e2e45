"""A name for each running trial in Ray's dashboard.

A worker runs one trial after the other, since each new one would import TensorFlow again, and Ray asks an actor for
its name once, when it is made. So each trial has an actor beside its worker that computes nothing: the list of actors
shows its name and its settings, alive while the trial runs.
"""

import logging
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from esnet.tuning.study import Trial, parameters_text

logger = logging.getLogger(__name__)


class TrialActors:
    """The named actors of the trials that run. What keeps Ray from showing them is logged and ends no study.

    Parameters
    ----------
    study
        Name of the study, which stands before the trial's.
    """

    def __init__(self, study: str) -> None:
        self._study = study
        self._actors: dict[str, Any] = {}

    def show(self, trial: Trial) -> None:
        """Show a trial that runs; take away one that has ended."""
        with _logged():
            if trial.status != "running":
                self._end(self._actors.pop(trial.name, None))
            elif trial.name not in self._actors:
                name = f"{self._study}/{trial.name}: {parameters_text(trial.parameters)}"
                # two studies of one name may share a Ray
                self._actors[trial.name] = _named_actor(f"{name} ({secrets.token_hex(3)})")

    def close(self) -> None:
        """Take all of them away."""
        while self._actors:
            with _logged():
                self._end(self._actors.popitem()[1])

    @staticmethod
    def _end(actor: Any) -> None:
        if actor is not None:
            actor.__ray_terminate__.remote()


class ShownTrial:
    """Says its name; an actor of it is all that the dashboard has of a trial."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __repr__(self) -> str:
        return self._name


@contextmanager
def _logged() -> Iterator[None]:
    try:
        yield
    except Exception as error:  # noqa: BLE001 whatever Ray says: trials are what the study is for
        logger.warning("Ray's dashboard does not show the trials as they are: %s: %s", type(error).__name__, error)


def _named_actor(name: str) -> Any:
    import ray

    return ray.remote(num_cpus=0)(ShownTrial).options(name=name).remote(name)
