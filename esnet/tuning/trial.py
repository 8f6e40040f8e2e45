"""Run one trial in a Ray worker, and report its results."""

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
"""Function that runs a trial and returns its final metrics, including the minimised one.

It calls `TrialTask.report` after each epoch. If the worker is killed or an exception is raised, it is called again in
another process and should then resume from the contents of its folder. A `UserError` marks a trial that is not worth
repeating."""

# How long a worker waits for its previous trial, which finishes at its next report, before it starts the next one
_THREAD_TIMEOUT_S = "120"


@dataclass(frozen=True)
class TrialTask:
    """Input of an objective.

    Attributes
    ----------
    name
        Name of the trial.
    parameters
        Values of the tuned parameters.
    folder
        Folder of the trial; a restarted trial finds its files there.
    curve
        Results of earlier epochs, if the trial resumes after an interruption.
    report
        Function to call after each epoch with its number (from 1) and metrics. It does not return if the scheduler has
        stopped the trial.
    """

    name: str
    parameters: dict[str, Any]
    folder: Path
    curve: tuple[Row, ...]
    report: Report


def trainable(
    objective: Objective, *, study: Study, metric: str, environment: Mapping[str, str]
) -> Callable[[dict[str, Any]], None]:
    """Return the function that Ray Tune runs for each trial.

    Parameters
    ----------
    objective
        Function that runs a trial.
    study
        Study in a folder that all Ray nodes can read and write.
    metric
        Name of the minimised value.
    environment
        Environment variables to set before TensorFlow is imported.
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
