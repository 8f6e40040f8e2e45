"""Train and test the models of the paper's Table 1 on one data set and one split.

Source: Mok et al., J. Mater. Chem. A 11 (2023), DOI 10.1039/D3TA01767B, Table 1: KRR, SVR, random forest, XGBoost and
a DNN on 90 DOS moments and the composition, a CNN and ESNet on the DOS signal and the composition, trained on RS-DOS
and tested on RS-DOS (RS2RE) and on IS-DOS (IS2RE); CGCNN-HD, MEGNet and Wren on the corresponding relaxed and unrelaxed
crystals, and Roost on the composition. Every model sees the same training part; the validation part is used to choose
parameters or to stop the training; the test part is read once, at the end.
"""

import logging
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from esnet.baselines.data import BenchmarkData
from esnet.baselines.graph_models import CannotTrainError
from esnet.baselines.models import Report, fit_and_predict, require_packages
from esnet.baselines.result import BenchmarkResult
from esnet.baselines.settings import NEED_MOMENTS, TITLES, BenchmarkError, BenchmarkSettings
from esnet.baselines.work import BenchmarkWork
from esnet.dataset.dataset import Dataset
from esnet.files.versions import installed_versions

__all__ = ["BenchmarkError", "BenchmarkResult", "BenchmarkSettings", "run_benchmark"]

logger = logging.getLogger(__name__)

FORMAT, FORMAT_VERSION = "esnet-benchmark", 1

_PACKAGES = ("esnet-campaign", "numpy", "scipy", "scikit-learn", "xgboost-cpu", "xgboost", "keras", "tensorflow",
             "tensorflow-cpu", "torch", "aviary-models", "matgl")  # fmt: skip


def run_benchmark(
    dataset: Dataset, *, settings: BenchmarkSettings, work: Path | None = None, report: Report | None = None
) -> BenchmarkResult:
    """Train and test the models of a comparison.

    A graph model that cannot be trained (because the data set has too few crystals for it, or its loss is not finite)
    gets no row, and a note says why.

    Parameters
    ----------
    dataset
        Data set with RS-DOS, IS-DOS or both; a task without samples in the test part has no errors.
    settings
        Models to compare, and how.
    work
        Folder for finished models and checkpoints; the same call then resumes an interrupted comparison. It is kept
        until `remove_work` is called. If None, nothing is kept.
    report
        Called with each line of progress.

    Returns
    -------
    BenchmarkResult
        One row per model, in the order of the table.

    Raises
    ------
    MissingExtraError
        If a package is missing; raised before anything is computed.
    BenchmarkError
        If a part of the data set is too small, or ``work`` belongs to another comparison.
    """
    tell = report or logger.info
    for name in settings.models:
        require_packages(name)
    data = BenchmarkData.of(dataset, settings)
    done = _work(dataset, settings, work)
    rows, notes, prepared = [], list[str](), False
    for name in settings.models:
        row = done.done(name)
        if row is None:
            if name in NEED_MOMENTS and not prepared:
                tell(f"moments of {data.n_samples} densities of states")
                data.moment_scaler  # noqa: B018 (computed here, so that it counts towards no model's time)
                prepared = True
            tell(f"{TITLES[name]}: training on {len(data.training)} samples")
            try:
                row = fit_and_predict(name, data, settings, work=done, tell=tell)
            except CannotTrainError as error:
                notes.append(f"{TITLES[name]} is not in the table: {error}")
                tell(notes[-1])
                continue
            done.keep(row)
        rows.append(row)
    test = data.test
    return BenchmarkResult(
        rows=tuple(rows),
        ids=tuple(dataset.ids[place] for place in test),
        materials=tuple(dataset.materials[place] for place in test),
        kinds=tuple(dataset.kinds[place] for place in test),
        energies=dataset.energies[test],
        about=_about(data, settings, notes),
        models=done.kept_models(settings.models),
    )


def remove_work(dataset: Dataset, *, settings: BenchmarkSettings, work: Path) -> None:
    """Remove the working folder of a comparison, once its result has been written."""
    _work(dataset, settings, work).remove()


def _work(dataset: Dataset, settings: BenchmarkSettings, work: Path | None) -> BenchmarkWork:
    # the other models and the number of threads do not affect the result of a model
    made_of = {name: value for name, value in settings.to_dict().items() if name not in ("models", "threads")}
    return BenchmarkWork(work, {"format_version": FORMAT_VERSION, "dataset": dataset.checksum} | made_of)


def _about(data: BenchmarkData, settings: BenchmarkSettings, notes: list[str]) -> dict[str, Any]:
    dataset = data.dataset
    quick = ["a trial run (small networks, parameters not chosen): do not compare models by these errors"]
    return {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "unit": "eV/atom",
        "dataset": {"name": Path(dataset.path).name, "checksum": dataset.checksum, "n_samples": len(dataset)},
        "representation": dataset.representation.to_dict(),
        "split": data.split.to_dict(),
        "settings": settings.to_dict(),
        "n_without_fermi_level": data.n_without_fermi_level,
        "versions": installed_versions(*_PACKAGES),
        "notes": [*(quick if settings.quick else []), *data.notes, *notes],
    }
