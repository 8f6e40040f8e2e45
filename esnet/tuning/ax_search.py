"""Bayesian optimisation with Ax, which proposes points and receives results; independent of Ray.

The state of Ax can be rebuilt from the reported results, so a search is resumed after a crash by reporting the known
results to a new one (see `AxSearch.tell_past`).
"""

import logging
import math
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any, Literal

from esnet.files.errors import require
from esnet.tuning.space import Choice, Domain, IntRange, Parameters, Space, check_point, random_point

logger = logging.getLogger(__name__)

METRIC = "objective"

Ending = Literal["finished", "stopped", "failed"]
"""How a trial ended: completed, stopped early by the scheduler, or failed (error, or a result that is not finite)."""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """Outcome of a trial.

    Attributes
    ----------
    ending
        How it ended.
    value
        Last value of the minimised metric; None if there is none.
    step
        Number of steps (epochs) after which it was measured.
    """

    ending: Ending
    value: float | None = None
    step: int = 0


class AxSearch:
    """Search for points of a space that minimise a value.

    Ax (ax-platform 1.2) starts with the centre of the space and a quasi-random sequence, and continues with a Gaussian
    process and expected improvement, as selected by Ax (``method="fast"``).

    Parameters
    ----------
    space
        The search space.
    seed
        Seed of the quasi-random sequence and of the optimisation of the acquisition function.
    initial_trials
        Number of trials before the model is used.

    Notes
    -----
    A trial is reported to Ax once, when it ends. The cost of reporting an epoch grows with the number of reported
    epochs (25 ms after 1,000; 2026-11, one core), and the model uses only the last epoch anyway.
    """

    def __init__(self, space: Space, *, seed: int = 0, initial_trials: int = 5) -> None:
        self._space = dict(space)
        self._seed = seed
        self._initial_trials = initial_trials
        self._random = Random(seed)
        self._past: list[tuple[dict[str, Any], Outcome]] = []
        self._live: dict[int, dict[str, Any]] = {}
        self._client: Any = None

    def __getstate__(self) -> dict[str, Any]:
        """Leave out the Ax client, which is rebuilt from the reported results."""
        return self.__dict__ | {"_client": None, "_live": {}}

    def tell_past(self, trials: Iterable[tuple[Parameters, Outcome]]) -> None:
        """Report trials that ended in an earlier process, before the first `ask`."""
        self._past.extend((dict(parameters), outcome) for parameters, outcome in trials)

    def attach(self, point: Parameters) -> int:
        """Register a trial that was started without being proposed, and return its number.

        Raises
        ------
        TuningError
            If it is not a point of the space (which Ax itself does not check).
        """
        check_point(self._space, point)
        number = int(self._connected().attach_trial(dict(point)))
        self._live[number] = dict(point)
        return number

    def ask(self) -> tuple[int, dict[str, Any]] | None:
        """Return a proposed point.

        Returns
        -------
        tuple or None
            Number of the trial (for `tell`) and its parameters. None if Ax first needs the results of running trials.
            If no trial is running (all initial ones failed), a random point is proposed instead, so callers never wait
            forever.
        """
        from ax.exceptions.core import DataRequiredError, OptimizationComplete
        from ax.exceptions.generation_strategy import AxGenerationException

        client = self._connected()
        try:
            with warnings.catch_warnings():
                # deprecations in pandas and restarts of the optimiser: nothing that a user can act on
                warnings.simplefilter("ignore")
                proposed = client.get_next_trials(max_trials=1)
        except (DataRequiredError, OptimizationComplete, AxGenerationException) as error:
            # the other exceptions: all points were proposed, or the limit of parallel trials is reached
            logger.debug("Ax waits for results: %s", error)
            proposed = {}
        for number, parameters in proposed.items():
            self._live[number] = _as_json(self._space, parameters)
            return number, self._live[number]
        if self._live:
            return None
        point = random_point(self._space, self._random)
        return self.attach(point), point

    def tell(self, number: int, outcome: Outcome) -> None:
        """Report the outcome of a trial; the number of a trial that is not running is ignored."""
        if self._live.pop(number, None) is None:
            logger.debug("Ax trial %d is not running", number)
            return
        _report_outcome(self._connected(), number, outcome)

    def _connected(self) -> Any:
        if self._client is None:
            self._client = self._new_client()
        return self._client

    def _new_client(self) -> Any:
        # importing Ax warns about a database that is not used here
        logging.getLogger("ax.storage.sqa_store.with_db_settings_base").disabled = True
        client = require("ax.api.client", extra="tune").Client(random_seed=self._seed)
        _quiet()
        client.configure_experiment(
            parameters=[_parameter_config(name, domain) for name, domain in self._space.items()], name="esnet-tune"
        )
        client.configure_optimization(objective=f"-{METRIC}")
        n_past = len(self._past)
        client.configure_generation_strategy(
            method="fast",
            initialization_budget=self._initial_trials,
            # a sequence with the same seed would propose its first points, and the centre, again
            initialization_random_seed=self._seed + n_past,
            initialize_with_center=n_past == 0,
            allow_exceeding_initialization_budget=True,
        )
        for parameters, outcome in self._past:
            _report_outcome(client, client.attach_trial(parameters), outcome)
        return client


class GridSearch:
    """Search that proposes given points one by one, regardless of the results."""

    def __init__(self, points: Sequence[Parameters]) -> None:
        self._points = [dict(point) for point in points]
        self._given = 0

    def tell_past(self, trials: Iterable[tuple[Parameters, Outcome]]) -> None:
        """Omit the points of trials that ended in an earlier process."""
        for parameters, _ in trials:
            self._take(parameters)

    def attach(self, point: Parameters) -> int:
        """Omit a point that was started without being proposed."""
        self._take(point)
        self._given += 1
        return self._given

    def ask(self) -> tuple[int, dict[str, Any]] | None:
        """Return the next point, or None after the last one."""
        if not self._points:
            return None
        self._given += 1
        return self._given, self._points.pop(0)

    def tell(self, number: int, outcome: Outcome) -> None:
        """Do nothing, since a grid does not depend on results."""

    def _take(self, point: Parameters) -> None:
        if dict(point) in self._points:
            self._points.remove(dict(point))


def _report_outcome(client: Any, number: int, outcome: Outcome) -> None:
    finite = outcome.value is not None and math.isfinite(outcome.value)
    if outcome.ending == "failed" or not finite:
        # not mark_trial_failed: Ax would propose a failed point again, with a fixed seed the same one forever
        client.mark_trial_abandoned(number)
        return
    client.attach_data(number, {METRIC: float(outcome.value or 0.0)}, progression=outcome.step)
    if outcome.ending == "stopped":
        client.mark_trial_early_stopped(number)
    else:
        client.complete_trial(number)


def _parameter_config(name: str, domain: Domain) -> Any:
    from ax.api.configs import ChoiceParameterConfig, RangeParameterConfig

    if isinstance(domain, Choice):
        kind = type(domain.values[0]).__name__
        # Ax treats two values as ordered, and warns unless this is stated
        return ChoiceParameterConfig(
            name=name, parameter_type=kind, values=list(domain.values), is_ordered=len(domain.values) == 2
        )
    return RangeParameterConfig(
        name=name,
        parameter_type="int" if isinstance(domain, IntRange) else "float",
        bounds=(domain.low, domain.high),
        scaling="log" if domain.log else "linear",
    )


def _as_json(space: Space, parameters: Parameters) -> dict[str, Any]:
    """Return the parameters in the order of the space, converted to built-in types."""
    values = {name: parameters[name] for name in space}
    return {name: value.item() if hasattr(value, "item") else value for name, value in values.items()}


def _quiet() -> None:
    """Restrict the log of Ax, which writes each trial to the terminal, to warnings."""
    from ax.utils.common.logger import set_ax_logger_levels

    set_ax_logger_levels(logging.WARNING)
