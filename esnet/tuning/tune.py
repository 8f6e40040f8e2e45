"""Tune ESNet's learning rate and batch size on a data set; writes a table, a plot, and a bundle of the best trial."""

import math
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from esnet.bundle.info import BundleInfo
from esnet.dataset.dataset import Dataset
from esnet.dataset.splits import Split
from esnet.files.errors import require
from esnet.training.ensemble import assemble_bundle
from esnet.training.settings import TrainingSettings
from esnet.training.split_selection import Kinds, choose_parts
from esnet.training.train import train_on
from esnet.tuning.ray_adapters import TrialProgress
from esnet.tuning.results import write_plots, write_summary, write_table
from esnet.tuning.run import run_trials
from esnet.tuning.settings import Resources, SearchSettings
from esnet.tuning.space import PAPER_SPACE, Space, TuningError
from esnet.tuning.study import Study, Trial, best_trial
from esnet.tuning.trial import TrialTask

__all__ = ["METRIC", "PAPER_SPACE", "Resources", "SearchSettings", "TuningError", "TuningResult", "tune"]


METRIC = "validation_mae"
"""Mean absolute error on the validation part, eV/atom, of the weights that would be kept if training ended now."""

BEST = "best"
_BUNDLE = "bundle"
_CHECKPOINTS = "checkpoints"


@dataclass(frozen=True, kw_only=True)
class TuningResult:
    """Result of a tuning run.

    Attributes
    ----------
    trials
        All trials, sorted by name.
    best
        The finished trial with the smallest error on the validation part.
    bundle
        Bundle of the best trial. Its record, like that of every trial, contains the error on the test part, which had
        no influence on the choice.
    table, plots, summary
        Files in the study's folder: CSV, PNG and SVG, JSON.
    logs
        Folder for ``tensorboard --logdir``.
    """

    trials: list[Trial]
    best: Trial
    bundle: Path
    table: Path
    plots: list[Path]
    summary: Path
    logs: Path


@dataclass(frozen=True, kw_only=True)
class EsnetObjective:
    """Objective that trains one ESNet in a worker and saves it as a bundle in the folder of the trial.

    Attributes
    ----------
    dataset
        Path of the data set, the same on all nodes.
    checksum
        Checksum of the data set that was split.
    split
        Result of `Split.to_dict`.
    kinds, settings
        As in `esnet.training.train.train_on`; the tuned settings are replaced by the parameters of the trial.
    """

    dataset: str
    checksum: str
    split: Mapping[str, Any]
    kinds: Kinds
    settings: TrainingSettings

    def __call__(self, task: TrialTask) -> dict[str, float]:
        """Train, or continue where a killed worker stopped, and return the errors of the kept weights."""
        import keras

        bundle = task.folder / _BUNDLE
        if not bundle.exists():
            try:
                self._train(task, bundle)
            finally:
                # Keras would keep its objects while the worker continues with another trial
                keras.utils.clear_session()
        shutil.rmtree(task.folder / _CHECKPOINTS, ignore_errors=True)
        record = BundleInfo.read(bundle).record
        if record.mae_validation is None or record.validation_loss is None:
            raise TuningError(f"{bundle} was trained without a validation part")
        return {METRIC: record.mae_validation, "val_loss": min(record.validation_loss)}

    def _train(self, task: TrialTask, bundle: Path) -> None:
        dataset = Dataset.open(self.dataset, verify=False)
        if dataset.checksum != self.checksum:
            raise TuningError(f"{self.dataset} changed: its checksum is {dataset.checksum}, it was {self.checksum}")
        result = train_on(
            dataset,
            Split.of(dataset, self.split),
            settings=replace(self.settings, **task.parameters),
            kinds=self.kinds,
            checkpoints=task.folder / _CHECKPOINTS,
            progress=_Reporter(task),
        )
        result.save(bundle)


class _Reporter:
    """Reports each epoch with the error at the epoch of lowest validation loss so far, whose weights are kept."""

    def __init__(self, task: TrialTask) -> None:
        self._task = task
        rows = [row for row in task.curve if row.get("val_loss") is not None and row.get(METRIC) is not None]
        self._lowest = min((row["val_loss"] or 0.0 for row in rows), default=math.inf)
        self._kept = (rows[-1][METRIC] or 0.0) if rows else math.inf

    def __call__(self, epoch: int, losses: Mapping[str, float]) -> None:
        if losses["val_loss"] < self._lowest:
            self._lowest, self._kept = losses["val_loss"], losses["val_mae"]
        self._task.report(epoch, {**losses, METRIC: self._kept})


def tune(
    dataset: Dataset,
    out: Path | str,
    *,
    split: Split,
    training: TrainingSettings,
    kinds: Kinds = "both",
    space: Space = PAPER_SPACE,
    search: SearchSettings | None = None,
    resources: Resources | None = None,
    retry_failed: bool = False,
    progress: TrialProgress | None = None,
) -> TuningResult:
    """Search for the settings that minimise the error on the validation part; the test part is not used for it.

    Ray must be connected (see `esnet.ray.session.ray_session`), unless all trials have ended.

    Parameters
    ----------
    dataset, split, kinds
        Training data; all trials use the same parts.
    out
        Folder of the study, at a path shared by all Ray nodes. If it already contains a study of the same data and
        settings, that study is resumed: finished trials are kept, and an interrupted one continues from its last epoch.
        A larger ``search.trials`` adds trials.
    training
        All other settings of a trial, including the seed: trials differ only in the tuned settings.
    space
        Tuned settings, by their names in `TrainingSettings`, with their ranges.
    search
        Settings of the search. If None, the defaults.
    resources
        Resources of the trials. If None, the defaults.
    retry_failed
        Whether to resume trials that failed earlier.
    progress
        Called in this process for each trial that starts, reports or ends.

    Returns
    -------
    TuningResult
        All trials, the bundle of the best one, and the files written.

    Raises
    ------
    TuningError
        If the folder contains something else or a study with other settings, another process is using it, there is no
        validation part, the run was interrupted, or no trial finished.
    RaySessionError
        If no Ray node has the resources for a trial.
    MissingExtraError
        If Ray Tune, Ax or matplotlib is not installed.
    """
    # needed by the last step, so checked first
    require("matplotlib", extra="esnet")
    search = search or SearchSettings()
    _check_names(space, training)
    note = choose_parts(dataset, split, kinds=kinds, settings=training).note
    if note is not None:
        raise TuningError(f"tuning compares errors on the validation part; {note}: give a larger validation fraction")
    study = Study.begin(
        out,
        identity={
            "data": dataset.checksum,
            "split": split.to_dict(),
            "kinds": kinds,
            "training": {name: value for name, value in training.to_dict().items() if name not in space},
            "space": {name: {"type": type(domain).__name__, **asdict(domain)} for name, domain in space.items()},
            "search": search.identity(),
        },
        about={"dataset": Path(dataset.path).name},
    )
    objective = EsnetObjective(
        dataset=str(Path(dataset.path).resolve()),
        checksum=dataset.checksum,
        split=split.to_dict(),
        kinds=kinds,
        settings=training,
    )
    trials = run_trials(
        objective,
        study,
        space=space,
        metric=METRIC,
        max_epochs=training.max_epochs,
        search=search,
        resources=resources,
        retry_failed=retry_failed,
        progress=progress,
    )
    best = best_trial(trials, METRIC)
    for trial in trials:
        if trial.status == "stopped":
            shutil.rmtree(study.folder(trial.name) / _CHECKPOINTS, ignore_errors=True)
    table = write_table(study.path, trials, names=list(space), metric=METRIC)
    plots = write_plots(study.path, trials, space=space, metric=METRIC, label="validation MAE / eV/atom")
    bundle = _best_bundle(study, best, dataset=dataset, split=split, kinds=kinds)
    summary = write_summary(study.path, trials, best=best, metric=METRIC)
    return TuningResult(
        trials=trials, best=best, bundle=bundle, table=table, plots=plots, summary=summary, logs=study.path / "ray"
    )


def _best_bundle(study: Study, best: Trial, *, dataset: Dataset, split: Split, kinds: Kinds) -> Path:
    """Assemble the bundle of the best trial unless it exists, replacing that of an earlier best trial."""
    path, member = study.path / BEST, study.folder(best.name) / _BUNDLE
    if path.exists() and BundleInfo.read(path).record == BundleInfo.read(member).record:
        return path
    new = study.path / f".{BEST}-{best.name}"
    shutil.rmtree(new, ignore_errors=True)
    assemble_bundle(new, members=[member], dataset=dataset, split=split, kinds=kinds)
    shutil.rmtree(path, ignore_errors=True)
    new.rename(path)
    return path


def _check_names(space: Space, training: TrainingSettings) -> None:
    unknown = sorted(set(space) - set(training.to_dict()))
    if unknown:
        raise TuningError(f"the search space has {', '.join(unknown)}, which training settings do not know")
