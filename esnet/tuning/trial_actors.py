"""Show each running trial by name in Ray's dashboard.

A worker runs one trial after another, since each new worker would import TensorFlow again, and Ray asks an actor for
its name only once, when it is created. Each trial therefore has an additional idle actor, whose name in the list of
actors shows the trial and its parameters while it runs.
"""

import logging
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from esnet.tuning.study import Trial, parameters_text

logger = logging.getLogger(__name__)


class TrialActors:
    """The named actors of the running trials; an error in creating one is logged and does not end the study.

    Parameters
    ----------
    study
        Name of the study, used as a prefix of the names.
    """

    def __init__(self, study: str) -> None:
        self._study = study
        self._actors: dict[str, Any] = {}

    def show(self, trial: Trial) -> None:
        """Show a running trial; remove one that has ended."""
        with _logged():
            if trial.status != "running":
                self._end(self._actors.pop(trial.name, None))
            elif trial.name not in self._actors:
                name = f"{self._study}/{trial.name}: {parameters_text(trial.parameters)}"
                # two studies with the same name may share a Ray cluster
                self._actors[trial.name] = _named_actor(f"{name} ({secrets.token_hex(3)})")

    def close(self) -> None:
        """Remove all actors."""
        while self._actors:
            with _logged():
                self._end(self._actors.popitem()[1])

    @staticmethod
    def _end(actor: Any) -> None:
        if actor is not None:
            actor.__ray_terminate__.remote()


class ShownTrial:
    """Class of the idle actors, whose representation is the name of a trial."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __repr__(self) -> str:
        return self._name


@contextmanager
def _logged() -> Iterator[None]:
    try:
        yield
    except Exception as error:  # noqa: BLE001 no error in the display may stop the trials
        logger.warning("Ray's dashboard does not show the trials as they are: %s: %s", type(error).__name__, error)


def _named_actor(name: str) -> Any:
    import ray

    return ray.remote(num_cpus=0)(ShownTrial).options(name=name).remote(name)
