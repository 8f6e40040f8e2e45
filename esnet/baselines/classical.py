"""The classical models of the paper's Table 1 on DOS moments and composition: KRR, SVR, random forest, XGBoost.

The paper (Mok et al., J. Mater. Chem. A 11 (2023), DOI 10.1039/D3TA01767B) names the models and their input; their
parameters are in a supplement that is not available. Each model therefore has a few candidate parameters around the
recommendations of its library or its authors (see `MODELS`), of which the best on the validation part are chosen. No
model sees the test part.
"""

import logging
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from esnet.files.errors import require
from esnet.representation.scaling import TargetScaling

logger = logging.getLogger(__name__)

Predict = Callable[[NDArray[np.float64]], NDArray[np.float64]]

_PREDICTED_AT_ONCE = 2048
_QUICK_TREES = 100


class Table(NamedTuple):
    """Features (n, 219) of `esnet.baselines.moment_features` and formation energies (n,), eV/atom."""

    features: NDArray[np.float64]
    energies: NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class ClassicalModel:
    """One model of the table.

    Attributes
    ----------
    title
        Name in the paper's table.
    package
        Required package, from the extra ``analysis``.
    candidates
        Parameters to choose from with the validation part; ``quick`` takes the first.
    source
        Source of the parameters.
    kernel
        Whether it is a kernel method, whose matrix grows with the square of the number of training samples.
    """

    title: str
    package: str
    candidates: tuple[Mapping[str, Any], ...]
    source: str
    kernel: bool = False


MODELS: Mapping[str, ClassicalModel] = {
    "krr": ClassicalModel(
        title="KRR",
        package="sklearn",
        # gamma is in units of 1 / (features x their variance), "scale" in scikit-learn's support vector machines
        candidates=tuple({"alpha": alpha, "gamma": gamma} for gamma in (1.0, 0.3) for alpha in (0.03, 0.1, 0.01, 0.3)),
        source="sklearn.kernel_ridge.KernelRidge, Gaussian kernel; width around scikit-learn's 'scale'",
        kernel=True,
    ),
    "svr": ClassicalModel(
        title="SVR",
        package="sklearn",
        candidates=tuple({"C": c, "gamma": gamma, "epsilon": 0.1} for gamma in (1.0, 0.3) for c in (10.0, 3.0, 30.0)),
        source="sklearn.svm.SVR, Gaussian kernel, epsilon 0.1 (its defaults); width around its default 'scale'",
        kernel=True,
    ),
    "rf": ClassicalModel(
        title="RF",
        package="sklearn",
        candidates=({"n_estimators": 300, "max_features": 1 / 3}, {"n_estimators": 300, "max_features": 1.0}),
        source="sklearn.ensemble.RandomForestRegressor; a third of the features per split as recommended by Breiman "
        "(2001), or all of them, scikit-learn's default",
    ),
    "xgboost": ClassicalModel(
        title="XGBoost",
        package="xgboost",
        candidates=({"max_depth": 6}, {"max_depth": 8}),
        source="xgboost.XGBRegressor; learning rate 0.05, rows and columns sampled at 0.8, up to 2000 trees, stopped "
        "after 50 without a better validation error (Chen and Guestrin 2016 for the method; practice for the numbers)",
    ),
}


class Fitted(NamedTuple):
    """A fitted model.

    Attributes
    ----------
    predict
        Function from features (n, 219) to formation energies (n,), eV/atom.
    parameters
        The chosen parameters.
    n_train
        Number of samples fitted to.
    mae_validation
        Mean absolute error on the validation part with the chosen parameters, eV/atom.
    notes
        Notes for readers of the table.
    """

    predict: Predict
    parameters: dict[str, Any]
    n_train: int
    mae_validation: float
    notes: tuple[str, ...]


def fit_classical(
    name: str,
    training: Table,
    validation: Table,
    *,
    seed: int,
    quick: bool = False,
    max_kernel_samples: int = 10_000,
    threads: int | None = None,
) -> Fitted:
    """Fit one of the classical models.

    Parameters
    ----------
    name
        Key of the model in `MODELS`.
    training, validation
        Samples to fit to, and samples to choose the parameters with (and the number of trees of XGBoost).
    seed
        Seed of the subsample, the forest and the boosting.
    quick
        Whether to take the first candidate parameters without a choice, and a forest of 100 trees.
    max_kernel_samples
        Largest number of samples for kernel methods, whose matrix has this number squared of entries (10,000 samples:
        0.8 GB, plus one or two copies during the solution). With more, the model is fitted to a random subsample drawn
        with the seed, and the notes say so.
    threads
        Number of threads for the trees. If None, the number of cores of this process.

    Returns
    -------
    Fitted
        The fitted model with its parameters and validation error.

    Raises
    ------
    MissingExtraError
        If the model's package is not installed.
    """
    model = MODELS[name]
    scaling = TargetScaling.fit(training.energies)
    table, notes = _subsample(training, max_kernel_samples, seed, model.title) if model.kernel else (training, ())
    n_threads = threads or len(os.sched_getaffinity(0))
    best: Fitted | None = None
    for parameters in model.candidates[:1] if quick else model.candidates:
        if name == "xgboost":
            predict, used = _fit_xgboost(dict(parameters), table, validation, scaling, seed, n_threads, quick)
        else:
            predict, used = _fit_sklearn(name, dict(parameters), table, scaling, seed, n_threads, quick)
        mae = float(np.abs(predict(validation.features) - validation.energies).mean())
        logger.info("%s with %s: validation MAE %.4f eV/atom", model.title, used, mae)
        if best is None or mae < best.mae_validation:
            best = Fitted(predict, used, len(table.energies), mae, notes)
    assert best is not None
    return best


def require_package(name: str) -> None:
    """Raise MissingExtraError if the package that a model needs is not installed."""
    require(MODELS[name].package, extra="analysis")


def _subsample(training: Table, largest: int, seed: int, title: str) -> tuple[Table, tuple[str, ...]]:
    n_samples = len(training.energies)
    if n_samples <= largest:
        return training, ()
    chosen = np.sort(np.random.default_rng(seed).choice(n_samples, largest, replace=False))
    note = (
        f"{title} is fitted to {largest} of the {n_samples} training samples, drawn with the seed: its kernel matrix "
        "grows with the square of their number (setting max_kernel_samples)"
    )
    return Table(training.features[chosen], training.energies[chosen]), (note,)


def _in_blocks(estimator: Any, scaling: TargetScaling) -> Predict:
    """Return a function that predicts in batches, to keep its kernel matrix small compared with the training one."""

    def predict(features: NDArray[np.float64]) -> NDArray[np.float64]:
        outputs = [
            np.asarray(estimator.predict(features[start : start + _PREDICTED_AT_ONCE]), dtype=np.float64)
            for start in range(0, len(features), _PREDICTED_AT_ONCE)
        ]
        return scaling.restore(np.concatenate(outputs) if outputs else np.empty(0))

    return predict


def _gamma(factor: float, table: Table) -> float:
    """Return gamma of a Gaussian kernel: a factor times scikit-learn's ``"scale"``, 1 / (features x variance)."""
    spread = float(table.features.shape[1] * table.features.var())
    return factor / (spread if spread > 0 else 1.0)


def _fit_sklearn(
    name: str, parameters: dict[str, Any], table: Table, scaling: TargetScaling, seed: int, threads: int, quick: bool
) -> tuple[Predict, dict[str, Any]]:
    if name == "rf":
        ensemble = require("sklearn.ensemble", extra="analysis")
        used = parameters | ({"n_estimators": _QUICK_TREES} if quick else {})
        estimator = ensemble.RandomForestRegressor(**used, random_state=seed, n_jobs=threads)
    else:
        used = parameters | {"gamma": _gamma(parameters["gamma"], table)}
        if name == "krr":
            estimator = require("sklearn.kernel_ridge", extra="analysis").KernelRidge(kernel="rbf", **used)
        else:
            estimator = require("sklearn.svm", extra="analysis").SVR(kernel="rbf", cache_size=1000, **used)
    estimator.fit(table.features, scaling.standardise(table.energies).astype(np.float64))
    return _in_blocks(estimator, scaling), used


def _fit_xgboost(
    parameters: dict[str, Any],
    table: Table,
    validation: Table,
    scaling: TargetScaling,
    seed: int,
    threads: int,
    quick: bool,
) -> tuple[Predict, dict[str, Any]]:
    xgboost = require("xgboost", extra="analysis")
    used = parameters | {
        "learning_rate": 0.3 if quick else 0.05,
        "subsample": 0.8,
        "colsample_bytree": 0.8,
        "tree_method": "hist",
    }
    estimator = xgboost.XGBRegressor(
        **used,
        n_estimators=_QUICK_TREES if quick else 2000,
        early_stopping_rounds=50,
        eval_metric="mae",
        random_state=seed,
        n_jobs=threads,
    )
    estimator.fit(
        table.features,
        scaling.standardise(table.energies),
        eval_set=[(validation.features, scaling.standardise(validation.energies))],
        verbose=False,
    )
    return _in_blocks(estimator, scaling), used | {"n_estimators": int(estimator.best_iteration) + 1}
