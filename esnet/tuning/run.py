"""Run the trials of a study with Ray Tune, from the start or resumed."""

import logging
import signal
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from typing import Any, get_args

from esnet.files.errors import require
from esnet.ray.metrics import TRIALS, RayMetrics
from esnet.ray.session import environment_variables, own_signal_handlers
from esnet.ray.workers import alive_nodes, gpus_of_a_worker, worker_options
from esnet.tuning.ax_search import AxSearch, GridSearch
from esnet.tuning.ray_adapters import TrialProgress, new_callback, new_scheduler, new_searcher, outcome_of
from esnet.tuning.settings import Resources, SearchSettings
from esnet.tuning.space import Space, TuningError, check_point, grid_points
from esnet.tuning.study import Status, Study, Trial
from esnet.tuning.trial import NAME, Objective, trainable
from esnet.tuning.trial_actors import TrialActors


def run_trials(
    objective: Objective,
    study: Study,
    *,
    space: Space,
    metric: str,
    max_epochs: int,
    search: SearchSettings,
    resources: Resources | None = None,
    retry_failed: bool = False,
    progress: TrialProgress | None = None,
) -> list[Trial]:
    """Run the remaining trials of a study. Ray must be connected (see `esnet.ray.session.ray_session`).

    Parameters
    ----------
    objective
        Runs one trial, in a Ray worker.
    study
        Study in which the trials are recorded; finished trials are not run again, unfinished ones are resumed.
    space
        The search space.
    metric
        Name of the value that the objective reports and returns, and that is minimised.
    max_epochs
        Largest number of epochs of a trial.
    search
        Settings of the search.
    resources
        Resources of the trials. If None, the defaults.
    retry_failed
        Whether to resume trials that failed earlier.
    progress
        Called in this process for each trial that starts, reports or ends.

    Returns
    -------
    list of Trial
        All trials of the study.

    Raises
    ------
    TuningError
        If another process is using the study, the settings do not match the space, or the run was interrupted.
    RaySessionError
        If no node has the resources for a trial.
    MissingExtraError
        If Ray Tune or Ax is not installed.
    """
    resources = resources or Resources()
    points = grid_points(space, search.grid) if search.grid else list(search.points)
    for point in points:
        check_point(space, point)
    wanted = len(points) if search.grid else max(search.trials, len(points))
    with study.locked():
        trials = study.trials()
        again = ("running", "failed") if retry_failed else ("running",)
        unfinished = [replace(trial, status="running", ended=None) for trial in trials if trial.status in again]
        ended = [trial for trial in trials if trial.status not in again]
        missing = max(wanted - len(trials), 0) + len(unfinished)
        if not missing:
            return trials
        require("ray.tune", extra="tune")
        if not search.grid:
            require("ax", extra="tune")
        proposer: AxSearch | GridSearch = (
            GridSearch(points)
            if search.grid
            else AxSearch(space, seed=search.seed, initial_trials=search.initial_trials)
        )
        proposer.tell_past((trial.parameters, outcome_of(trial, metric)) for trial in ended)
        tried = [trial.parameters for trial in trials]
        searcher = new_searcher(
            study,
            proposer,
            metric=metric,
            unfinished=unfinished,
            first_number=1 + max((int(trial.name.rpartition("-")[2]) for trial in trials), default=0),
            points=() if search.grid else [point for point in points if dict(point) not in tried],
        )
        scheduler = None
        if search.stopping == "asha":
            scheduler = new_scheduler(
                metric=metric, max_epochs=max_epochs, grace=search.grace, reduction=search.reduction, past=trials
            )
        _fit(
            objective,
            study,
            metric=metric,
            searcher=searcher,
            scheduler=scheduler,
            trials=missing,
            resources=resources,
            progress=progress,
        )
        trials = study.trials()
    left = wanted - sum(trial.status != "running" for trial in trials)
    if left > 0:
        raise TuningError(f"interrupted with {left} of {wanted} trials left; repeat the command to continue")
    return trials


def _fit(
    objective: Objective,
    study: Study,
    *,
    metric: str,
    searcher: Any,
    scheduler: Any,
    trials: int,
    resources: Resources,
    progress: TrialProgress | None,
) -> None:
    from ray import tune

    gpus = gpus_of_a_worker() if resources.gpus is None else resources.gpus
    options = worker_options(cpu_threads=resources.cpus, num_gpus=gpus)
    function = trainable(objective, study=study, metric=metric, environment=options["runtime_env"]["env_vars"])
    actors = TrialActors(study.path.name)
    with _ray_settings(), closing(actors):
        tuner = tune.Tuner(
            tune.with_resources(function, {"cpu": resources.cpus, "gpu": gpus}),
            tune_config=tune.TuneConfig(
                search_alg=searcher,
                scheduler=scheduler,
                num_samples=trials,
                max_concurrent_trials=resources.concurrent or _room(cpus=resources.cpus, gpus=gpus),
                # a new worker takes 25 to 31 s to start, 24 s of it for importing TensorFlow (2026-11)
                reuse_actors=True,
                trial_name_creator=_trial_name,
                trial_dirname_creator=_trial_name,
            ),
            run_config=tune.RunConfig(
                name="ray",
                storage_path=str(study.path),
                failure_config=tune.FailureConfig(max_failures=resources.retries),
                callbacks=[new_callback(study, metric=metric, progress=_telling(study, progress, actors))],
                verbose=0,
            ),
        )
        tuner.fit()


def _trial_name(trial: Any) -> str:
    return str(trial.config[NAME])


def _telling(study: Study, progress: TrialProgress | None, actors: TrialActors) -> TrialProgress:
    """Return a function that passes a trial on to ``progress`` and to Ray's dashboard and metrics."""
    metrics = RayMetrics(study.path.name)

    def tell(trial: Trial) -> None:
        actors.show(trial)
        if progress is not None:
            progress(trial)
        statuses = Counter(each.status for each in study.trials())
        for status in get_args(Status):
            metrics.set(TRIALS, statuses[status], status=status)

    return tell


def _room(*, cpus: int, gpus: float) -> int:
    """Return the number of trials that fit on Ray's nodes at the same time."""
    found = 0
    for node in alive_nodes():
        room = int(node.get("CPU", 0) // cpus)
        found += min(room, int(node.get("GPU", 0) / gpus + 1e-9)) if gpus else room
    return max(found, 1)


@contextmanager
def _ray_settings() -> Iterator[None]:
    """Keep Ray Tune from printing, since the study reports trials and errors; restore signal handlers afterwards."""
    variables = {"RAY_AIR_NEW_OUTPUT": "0", "TUNE_PRINT_ALL_TRIAL_ERRORS": "0"}
    ray_logger = logging.getLogger("ray.tune")
    level = ray_logger.level
    with environment_variables(variables), own_signal_handlers(signal.SIGINT, signal.SIGUSR1):
        ray_logger.setLevel(logging.CRITICAL)
        try:
            yield
        finally:
            ray_logger.setLevel(level)
