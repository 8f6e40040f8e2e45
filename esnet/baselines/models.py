"""Train each model of a comparison and predict the test part."""

import importlib.util
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from esnet.baselines.classical import MODELS, fit_classical, require_package
from esnet.baselines.data import BenchmarkData
from esnet.baselines.graph_models import fit_graph_model
from esnet.baselines.networks import NetworkFit, fit_cnn, fit_dnn
from esnet.baselines.result import ModelResult
from esnet.baselines.settings import GRAPH_MODELS, NETWORKS, TITLES, BenchmarkSettings
from esnet.baselines.work import BenchmarkWork
from esnet.files.errors import require
from esnet.graph.kinds import KINDS
from esnet.graph.packages import require_graph_packages
from esnet.training.loop import CheckpointConfig, Progress
from esnet.training.metrics import predict_places
from esnet.training.network import require_tensorflow
from esnet.training.train import train_on

Report = Callable[[str], None]
"""Called with each line of progress."""

_SOURCES = {
    "dnn": "two fully connected layers as the paper says, with the 128 and 64 units of ESNet's head",
    "cnn": "ESNet's stem, widths and head without residual units, attention and separate spins (our choice)",
    "esnet": "the paper: widths, learning rate, batch size, schedule",
}


def require_packages(name: str) -> None:
    """Raise MissingExtraError, naming the extra, if a package that a model needs is not installed."""
    if name in MODELS:
        require_package(name)
    elif name in GRAPH_MODELS:
        require_graph_packages(KINDS[name])
    elif name in NETWORKS:
        for package in ("keras", "tensorflow"):
            if importlib.util.find_spec(package) is None:
                require(package, extra="esnet")


def fit_and_predict(
    name: str, data: BenchmarkData, settings: BenchmarkSettings, *, work: BenchmarkWork, tell: Report
) -> ModelResult:
    """Train one model (a key of `TITLES`) and return its predictions for the test part.

    The checkpoints of networks and the trained graph models are kept in ``work``.

    Raises
    ------
    CannotTrainError
        If a graph model cannot be trained on the data set.
    """
    wall, cpu = time.monotonic(), time.process_time()
    if name == "mean":
        found = _mean(data)
    elif name in MODELS:
        found = _classical(name, data, settings)
    elif name in GRAPH_MODELS:
        progress = _epochs(TITLES[name], settings.graph_settings(name).epochs, tell)
        found = fit_graph_model(name, data, settings, folder=work.model_folder(name), progress=progress)
    else:
        found = _network(name, data, settings, work, tell)
    return ModelResult(
        name=name,
        title=TITLES[name],
        wall_s=round(time.monotonic() - wall, 3),
        cpu_s=round(time.process_time() - cpu, 3),
        **found,
    )


def _mean(data: BenchmarkData) -> dict[str, Any]:
    energies = data.dataset.energies
    mean = float(energies[data.training].mean())
    return {
        "predictions": [mean] * len(data.test),
        "n_train": len(data.training),
        "mae_validation": float(np.abs(energies[data.validation] - mean).mean()),
        "parameters": {"mean": mean},
        "source": "the prediction of a model that has learnt nothing",
        "notes": [],
    }


def _classical(name: str, data: BenchmarkData, settings: BenchmarkSettings) -> dict[str, Any]:
    fitted = fit_classical(
        name,
        data.table(data.training),
        data.table(data.validation),
        seed=settings.seed,
        quick=settings.quick,
        max_kernel_samples=settings.max_kernel_samples,
        threads=settings.threads,
    )
    features, cpu = data.table(data.test).features, time.process_time()
    return {
        "predictions": fitted.predict(features).tolist(),
        "predict_cpu_s": time.process_time() - cpu,
        "n_train": fitted.n_train,
        "mae_validation": fitted.mae_validation,
        "parameters": fitted.parameters,
        "source": MODELS[name].source,
        "notes": list(fitted.notes),
    }


def _network(
    name: str, data: BenchmarkData, settings: BenchmarkSettings, work: BenchmarkWork, tell: Report
) -> dict[str, Any]:
    require_tensorflow()
    import tensorflow

    tensorflow.config.experimental.enable_op_determinism()
    training = settings.training_settings()
    progress = _epochs(TITLES[name], training.max_epochs, tell)
    folder = None if work.folder is None else work.folder / name
    keeping = CheckpointConfig(checkpoints=folder, fingerprint={"model": name, **work.fingerprint})
    if name == "dnn":
        tables = (data.table(data.training), data.table(data.validation), data.table(data.test).features)
        fitted = fit_dnn(*tables, settings=training, keeping=keeping, progress=progress)
    elif name == "cnn":
        fitted = fit_cnn(
            data.dataset, data.training, data.validation, data.test, settings=training, keeping=keeping,
            progress=progress,
        )  # fmt: skip
    else:
        fitted = _esnet(data, settings, folder, progress)
    parameters = {"parameters": fitted.n_parameters, "epochs": fitted.epochs, "batch_size": training.batch_size,
                  "learning_rate": training.learning_rate}  # fmt: skip
    return {
        "predictions": fitted.predictions.tolist(),
        "predict_cpu_s": fitted.predict_cpu_s,
        "n_train": len(data.training),
        "mae_validation": fitted.mae_validation,
        "parameters": parameters | ({} if name == "dnn" else {"widths": list(training.widths)}),
        "source": _SOURCES[name],
        "notes": [],
    }


def _esnet(data: BenchmarkData, settings: BenchmarkSettings, folder: Path | None, progress: Progress) -> NetworkFit:
    result = train_on(
        data.dataset,
        data.split,
        settings=settings.training_settings(),
        kinds=settings.train_kinds,
        checkpoints=folder,
        progress=progress,
    )
    cpu = time.process_time()
    predictions = predict_places(
        result.model, data.dataset, data.test, scaler=result.scaler, scaling=result.target_scaling
    )
    predict_cpu_s = time.process_time() - cpu
    record = result.record
    assert record.mae_validation is not None  # BenchmarkData ensures that there is a validation part
    return NetworkFit(predictions, record.n_parameters, record.epochs, record.mae_validation, predict_cpu_s)


def _epochs(title: str, n_epochs: int, tell: Report) -> Progress:
    def progress(epoch: int, logs: Mapping[str, float]) -> None:
        mae = f", validation MAE {logs['val_mae']:.4f} eV/atom" if "val_mae" in logs else ""
        tell(f"{title}: epoch {epoch} of at most {n_epochs}{mae}")

    return progress
