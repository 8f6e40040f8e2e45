"""Execution of one trial in a Ray worker: its task, and the report of its results."""

import math
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from esnet.files.errors import UserError
from esnet.tuning.study import Row, Study

NAME = "trial"
EPOCH = "epoch"
FINISHED = "finished"
MESSAGE = "message"

Report = Callable[[int, Mapping[str, float]], None]
Objective = Callable[["TrialTask"], Mapping[str, float]]
"""Runs a trial; returns the values that stand for it as a whole, the one that is minimised among them.

It calls `TrialTask.report` after each epoch. It is called again, in another process, where the worker was killed or an
exception was raised, and should then go on with what its folder has. A `UserError` is a trial that is not worth
repeating."""

# How long a worker waits for the previous trial to finish before its next one; that one finishes at its next report, so
# soon
_THREAD_TIMEOUT_S = "120"


@dataclass(frozen=True)
class TrialTask:
    """Input of an objective.

    Attributes
    ----------
    name
        Of the trial.
    parameters
        The values to try.
    folder
        The trial's own folder; a restarted trial finds its files there.
    curve
        Results of earlier epochs, if the trial resumes after an interruption.
    report
        To be called after each epoch with its number (from 1) and metrics. It does not return where the scheduler
        has stopped the trial.
    """

    name: str
    parameters: dict[str, Any]
    folder: Path
    curve: tuple[Row, ...]
    report: Report


def trainable(
    objective: Objective, *, study: Study, metric: str, environment: Mapping[str, str]
) -> Callable[[dict[str, Any]], None]:
    """Return the function that Ray Tune runs for each trial, to make ``metric`` small.

    Parameters
    ----------
    study
        At a path that all of Ray's nodes see.
    environment
        Variables that must stand before TensorFlow is imported.
    """
    variables = {**environment, "TUNE_FUNCTION_THREAD_TIMEOUT_S": _THREAD_TIMEOUT_S}

    def esnet_trial(config: dict[str, Any]) -> None:
        from ray import tune

        os.environ.update(variables)
        parameters = {name: value for name, value in config.items() if name != NAME}
        trial = study.trial(config[NAME])
        last = trial.epoch

        def report(epoch: int, metrics: Mapping[str, float]) -> None:
            nonlocal last
            last = epoch
            tune.report({EPOCH: epoch, **{name: float(value) for name, value in metrics.items()}})

        task = TrialTask(trial.name, parameters, study.folder(trial.name), trial.curve, report)
        try:
            final = {name: float(value) for name, value in objective(task).items()}
        except UserError as error:
            final = {metric: math.nan}
            message = str(error)
        else:
            message = "" if math.isfinite(final[metric]) else f"{metric} is not finite"
        tune.report({EPOCH: last, **final, FINISHED: True, MESSAGE: message})

    return esnet_trial
