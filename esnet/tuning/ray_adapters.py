"""Adapters between a study and Ray Tune: a searcher, a scheduler and a callback.

The classes are defined inside functions because their base classes come from Ray, which must not be loaded when this
module is imported.
"""

import math
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from esnet.tuning.ax_search import AxSearch, Ending, GridSearch, Outcome
from esnet.tuning.space import Parameters
from esnet.tuning.study import Row, Study, Trial
from esnet.tuning.trial import EPOCH, FINISHED, MESSAGE, NAME

TrialProgress = Callable[[Trial], None]
"""Called with each trial when it starts, after each of its epochs, and when it has finished."""


def new_searcher(
    study: Study,
    search: AxSearch | GridSearch,
    *,
    metric: str,
    unfinished: Sequence[Trial],
    first_number: int,
    points: Sequence[Parameters],
) -> Any:
    """Return a ``ray.tune.search.Searcher`` that names the trials and asks ``search`` for their parameters.

    Parameters
    ----------
    study
        Study in which a trial is recorded as soon as it has parameters.
    search
        Proposes trials, and receives their results.
    metric
        Name of the minimised value.
    unfinished
        Trials of an earlier process, which are resumed first.
    first_number
        Number of the first new trial.
    points
        Parameters of the next trials, tried before ``search`` is asked.
    """
    from ray.tune.search import Searcher

    class StudySearcher(Searcher):  # type: ignore[misc, unused-ignore]  # Ray's classes are untyped
        def __init__(self) -> None:
            super().__init__(metric=metric, mode="min")
            self._waiting = deque(unfinished)
            self._points = deque(points)
            self._next_number = first_number
            self._running: dict[str, int] = {}

        def suggest(self, trial_id: str) -> dict[str, Any] | str | None:
            if self._waiting:
                trial = self._waiting.popleft()
                self._running[trial_id] = search.attach(trial.parameters)
                study.write(trial)
                return {NAME: trial.name, **trial.parameters}
            if self._points:
                point = dict(self._points.popleft())
                self._running[trial_id] = search.attach(point)
            else:
                asked = search.ask()
                if asked is None:
                    return None
                self._running[trial_id], point = asked
            name = f"trial-{self._next_number:03d}"
            self._next_number += 1
            study.write(Trial(name=name, parameters=point))
            return {NAME: name, **point}

        def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
            number = self._running.pop(trial_id, None)
            if number is not None:
                search.tell(number, _outcome(result, metric, error=error))

        def save(self, checkpoint_path: str) -> None:
            """Do nothing, since the files of the study suffice for a restart."""

    return StudySearcher()


def new_scheduler(*, metric: str, max_epochs: int, grace: int, reduction: float, past: Sequence[Trial]) -> Any:
    """Return Ray's ASHA scheduler (Li et al., arXiv:1810.05934), initialised with the results of earlier processes.

    Parameters
    ----------
    metric
        Name of the minimised value.
    max_epochs
        Largest number of epochs of a trial.
    grace
        Number of epochs before a trial may be stopped.
    reduction
        One in this many trials that reach a rung continues.
    past
        Trials of earlier processes, finished or not.
    """
    from ray.tune.schedulers import ASHAScheduler

    class StudyScheduler(ASHAScheduler):  # type: ignore[misc, unused-ignore]
        """ASHA that identifies trials by their names in the study, since Ray gives a resumed trial a new id."""

        def on_trial_add(self, tune_controller: Any, trial: Any) -> None:
            super().on_trial_add(tune_controller, _named(trial))

        def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:
            if not math.isfinite(result.get(metric, math.nan)):
                return str(self.STOP)
            return str(super().on_trial_result(tune_controller, _named(trial), result))

        def on_trial_complete(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> None:
            if math.isfinite(result.get(metric, math.nan)):
                super().on_trial_complete(tune_controller, _named(trial), result)

        def on_trial_remove(self, tune_controller: Any, trial: Any) -> None:
            super().on_trial_remove(tune_controller, _named(trial))

    longest = max(max_epochs - 1, 1)
    scheduler = StudyScheduler(
        time_attr=EPOCH,
        metric=metric,
        mode="min",
        # there is no rung at the last epoch: a trial that reaches it is not stopped, and keeps its model
        max_t=longest,
        grace_period=min(grace, longest),
        reduction_factor=reduction,
        stop_last_trials=False,
    )
    for trial in past:
        stand_in = SimpleNamespace(config={NAME: trial.name})
        scheduler.on_trial_add(None, stand_in)
        for row in trial.curve:
            if row.get(metric) is not None:
                scheduler.on_trial_result(None, stand_in, dict(row))
    return scheduler


def new_callback(study: Study, *, metric: str, progress: TrialProgress | None) -> Any:
    """Return a ``ray.tune.Callback`` that records the events of each trial in the study."""
    from ray.tune import Callback

    class StudyCallback(Callback):  # type: ignore[misc, unused-ignore]
        def __init__(self, progress: TrialProgress | None) -> None:
            # passed as an argument, since Ray pickles the class with everything in its closure
            self._progress = progress

        def __getstate__(self) -> dict[str, Any]:
            """Leave out the progress display, which may be a terminal; Ray's pickle is never read."""
            return {"_progress": None}

        def on_trial_start(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
            self._report_trial(trial.config[NAME])

        def on_trial_result(
            self, iteration: int, trials: list[Any], trial: Any, result: dict[str, Any], **info: Any
        ) -> None:
            kept = study.trial(trial.config[NAME])
            if EPOCH in result:
                study.write(kept.with_row(_row(result)))
            self._report_trial(kept.name)

        def on_trial_recover(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
            kept = study.trial(trial.config[NAME])
            study.write(replace(kept, recoveries=kept.recoveries + 1, message=_reason(trial)))
            self._report_trial(kept.name)

        def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
            kept = study.trial(trial.config[NAME])
            outcome = _outcome(trial.last_result, metric, error=False)
            study.end(kept, outcome.ending, message=(trial.last_result or {}).get(MESSAGE, ""))
            self._report_trial(kept.name)

        def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
            kept = study.trial(trial.config[NAME])
            study.end(kept, "failed", message=_reason(trial))
            self._report_trial(kept.name)

        def _report_trial(self, name: str) -> None:
            if self._progress is not None:
                self._progress(study.trial(name))

    return StudyCallback(progress)


def outcome_of(trial: Trial, metric: str) -> Outcome:
    """Return the outcome of a trial of an earlier process, for `AxSearch.tell_past`."""
    ending: Ending = "failed" if trial.status == "running" else trial.status
    return Outcome(ending=ending, value=trial.last(metric), step=trial.epoch)


def _outcome(result: Mapping[str, Any] | None, metric: str, *, error: bool) -> Outcome:
    value = (result or {}).get(metric)
    if error or result is None or value is None or not math.isfinite(value):
        return Outcome(ending="failed")
    ending: Ending = "finished" if result.get(FINISHED) else "stopped"
    return Outcome(ending=ending, value=float(value), step=int(result.get(EPOCH, 0)))


def _named(trial: Any) -> Any:
    return SimpleNamespace(trial_id=trial.config[NAME])


def _row(result: Mapping[str, Any]) -> Row:
    """Return the metrics in a result, without Ray's own fields and non-numeric values."""
    from ray.tune.result import AUTO_RESULT_KEYS

    return {
        name: value if math.isfinite(value) else None
        for name, value in result.items()
        if isinstance(value, int | float) and not isinstance(value, bool) and name not in AUTO_RESULT_KEYS
    }


def _reason(trial: Any) -> str:
    """Return the exception of a Ray error without its traceback."""
    file = Path(trial.error_file or "")
    lines = [line.strip() for line in file.read_text().splitlines() if line.strip()] if file.is_file() else []
    if not lines or any(line.startswith("The actor died") for line in lines[-12:]):
        return "its worker died (killed, or out of memory?)"
    return lines[-1][:500]
