"""The classical models of the paper's Table 1 on DOS moments and composition: KRR, SVR, random forest, XGBoost.

The paper (Mok et al., J. Mater. Chem. A 11 (2023), DOI 10.1039/D3TA01767B) names the models and their input; their
parameters are given in a supplement that is not available. So each model here has few candidates around what its
library or its inventor recommends (see `MODELS`), and the validation part chooses, as it stops the networks' training.
None sees the test part.
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
        As the paper's table calls it.
    package
        What it needs, from the extra ``analysis``.
    candidates
        Parameters that the validation part chooses from; the first are those of ``quick``.
    source
        Where the parameters come from.
    kernel
        Whether its matrix has as many entries as training samples squared.
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
        # gamma: in units of 1 / (features x their variance), the "scale" of scikit-learn's support vector machines
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
        source="sklearn.ensemble.RandomForestRegressor; a third of the features a split is Breiman's advice (2001), "
        "all of them scikit-learn's default",
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
        Features (n, 219) -> formation energies (n,), eV/atom.
    parameters
        Those chosen.
    n_train
        Samples fitted to.
    mae_validation
        eV/atom, of the parameters chosen.
    notes
        What a reader of the table must know.
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
    """Fit the model of `MODELS` that has this key.

    Parameters
    ----------
    training, validation
        What it is fitted to, and what chooses its parameters (and ends XGBoost's growth).
    seed
        Of the subsample, the forest and the boosting.
    quick
        Take the first candidate without choosing, and a forest of 100 trees.
    max_kernel_samples
        A kernel method's matrix has the square of its samples (10,000: 0.8 GB, and a copy
        or two while it is solved): above this number it is fitted to
        a subsample that the seed draws, and the notes say so.
    threads
        For the trees; None: the cores of this process.

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
        f"{title} is fitted to {largest} of the {n_samples} training samples, drawn by the seed: its kernel matrix "
        "grows with their square (setting max_kernel_samples)"
    )
    return Table(training.features[chosen], training.energies[chosen]), (note,)


def _in_blocks(estimator: Any, scaling: TargetScaling) -> Predict:
    """Predict in batches that keep the rectangular kernel matrix small compared with the square one."""

    def predict(features: NDArray[np.float64]) -> NDArray[np.float64]:
        outputs = [
            np.asarray(estimator.predict(features[start : start + _PREDICTED_AT_ONCE]), dtype=np.float64)
            for start in range(0, len(features), _PREDICTED_AT_ONCE)
        ]
        return scaling.restore(np.concatenate(outputs) if outputs else np.empty(0))

    return predict


def _gamma(factor: float, table: Table) -> float:
    """Width of a Gaussian kernel, in units of scikit-learn's ``gamma="scale"``: 1 / (features times their variance)."""
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
