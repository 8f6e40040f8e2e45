"""Trainings of the leaderboard and their execution; each result is kept in its own file."""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from benchmarks.leaderboard.altered import AlteredDataset, Inputs
from benchmarks.leaderboard.splits import split_of
from esnet.baselines.data import BenchmarkData
from esnet.baselines.graph_models import CannotTrainError
from esnet.baselines.models import fit_and_predict
from esnet.baselines.settings import GRAPH_MODELS, NETWORKS, TITLES, BenchmarkSettings
from esnet.baselines.work import BenchmarkWork
from esnet.dataset.dataset import Dataset
from esnet.files.atomic import sha256_of_json
from esnet.files.sealed import read_sealed, write_sealed
from esnet.training.network import TrainingError

logger = logging.getLogger(__name__)

VERSION = 1
"""Raised when the same training would give another result: what was kept is then made again."""
RESIDUAL_BASES = ("CHGNet", "single point", "single point + CHGNet")
"""Scorers without training whose error is learnt."""
RESIDUAL_MODELS = ("mean", "krr", "esnet")
CURVES = (50, 100, 200, 400, 800)
"""Compounds trained on, beside all; a set of fewer than twice the first has half of all instead."""
CURVE_MODELS = ("mean", "krr", "xgboost", "roost", "esnet")
ELEMENT_MODELS = ("mean", "krr", "xgboost", "roost", "esnet")
ABLATIONS: tuple[Inputs, ...] = ("dos", "composition", "none")


@dataclass(frozen=True, kw_only=True)
class Training:
    """One training.

    Attributes
    ----------
    model
        A key of `esnet.baselines.settings.TITLES`.
    kinds
        DOS (or crystals) trained on.
    split
        As in the file of splits.
    seed
        Of the model.
    n_train
        Compounds trained on; None: all.
    inputs
        What ESNet sees.
    residual_of
        Scorer whose error is learnt; None: the formation energy.
    """

    model: str
    kinds: Literal["is_dos", "rs_dos"]
    split: str
    seed: int
    n_train: int | None = None
    inputs: Inputs = "both"
    residual_of: str | None = None


def trainings(
    dataset: Dataset, models: Sequence[str], splits: Mapping[str, str], seeds: int, *, bases: Sequence[str]
) -> Iterator[Training]:
    """Yield all trainings: the table first, then what explains it."""
    for number in range(1, seeds + 1):
        for by in ("random", "chemsys"):
            for kinds in ("rs_dos", "is_dos"):
                for model in models:
                    yield Training(model=model, kinds=kinds, split=f"{by}-{number}", seed=number)
        if "esnet" in models:
            common: dict[str, Any] = {"model": "esnet", "split": f"random-{number}", "seed": number}
            for inputs in ABLATIONS:
                yield Training(**common, kinds="rs_dos", inputs=inputs)
        for by in ("random", "chemsys"):
            for base in bases:
                for model in models:
                    if model in RESIDUAL_MODELS:
                        yield Training(
                            model=model, kinds="is_dos", split=f"{by}-{number}", seed=number, residual_of=base
                        )
        for size in curve_sizes(n_compounds(dataset, splits["random-1"])):
            for model in models:
                if model in CURVE_MODELS:
                    yield Training(model=model, kinds="rs_dos", split=f"random-{number}", seed=number, n_train=size)
    for name in splits:
        if name.startswith("element-"):
            for model in models:
                if model in ELEMENT_MODELS:
                    yield Training(model=model, kinds="rs_dos", split=name, seed=1)


def n_compounds(dataset: Dataset, letters: str) -> int:
    """Compounds in the training part of a split."""
    chemsys = dict(zip(dataset.materials, dataset.chemsys, strict=True))
    return sum(letter == "." and "-" in chemsys[name] for name, letter in zip(sorted(chemsys), letters, strict=True))


def curve_sizes(n_train: int) -> list[int]:
    """Sizes of the training part, in compounds, below that of all."""
    return [size for size in CURVES if size < n_train] or [n_train // 2]


class Results:
    """Results on disk, a file for each training, found by what it is made of.

    Parameters
    ----------
    folder
        Made where it is not there.
    about
        What all trainings have in common: the data set's checksum, the splits', settings.
    """

    def __init__(self, folder: Path, about: Mapping[str, Any]) -> None:
        self.folder, self.about = folder, {"version": VERSION, **about}
        self._known: dict[Training, dict[str, Any]] = {}
        folder.mkdir(parents=True, exist_ok=True)

    def _file(self, training: Training) -> Path:
        key = sha256_of_json({**self.about, **asdict(training)})
        return self.folder / f"{training.model}-{training.split}-{key[:16]}.json"

    def read(self, training: Training) -> dict[str, Any] | None:
        """Return a result, or None if the file is missing or damaged."""
        if training not in self._known:
            result = read_sealed(self._file(training))
            if result is None or result["training"] != asdict(training):
                return None
            self._known[training] = result
        return self._known[training]

    def keep(self, training: Training, result: Mapping[str, Any]) -> None:
        """Write down a result."""
        self._known[training] = {"training": asdict(training), **result}
        write_sealed(self._file(training), self._known[training])


def train_one(
    dataset: Dataset,
    letters: str,
    training: Training,
    *,
    base: Mapping[str, float | None],
    settings: Mapping[str, Any],
    tell: Callable[[str], None],
) -> dict[str, Any]:
    """Train, and predict the test part.

    Parameters
    ----------
    base
        Formation energies (eV/atom) by the scorer whose residual is learnt, by material.
    settings
        ``quick``, ``epochs``, ``widths``, ``threads`` of `BenchmarkSettings`.

    Returns
    -------
    dict
        ``predictions`` by sample id (eV/atom; null: none) and the costs; or ``problem``.
    """
    split = split_of(dataset, training.split, letters, n_train=training.n_train)
    offset = np.zeros(len(dataset))
    if training.residual_of is not None:
        offset = np.array([np.nan if (said := base[name]) is None else said for name in dataset.materials])
        split = split.without(dataset, np.isnan(offset), why=f"{training.residual_of} gives no energy")
    seen = AlteredDataset(dataset, inputs=training.inputs, energies=dataset.energies - offset)
    data = BenchmarkData.divided(seen, split, train_kinds=training.kinds)
    chosen = BenchmarkSettings(models=(training.model,), train_kinds=training.kinds, seed=training.seed, **settings)
    try:
        row = fit_and_predict(training.model, data, chosen, work=BenchmarkWork(None, {}), tell=tell)
    except (CannotTrainError, TrainingError) as error:
        return {"problem": str(error), "predictions": {}}
    finally:
        if training.model in NETWORKS:
            import keras

            keras.backend.clear_session()
    predictions = {
        dataset.ids[place]: None if said is None else said + offset[place]
        for place, said in zip(split.test.tolist(), row.predictions, strict=True)
    }
    return {
        "predictions": predictions,
        "n_train": row.n_train,
        "cpu_s": row.cpu_s,
        "predict_cpu_s": None if row.predict_cpu_s is None else row.predict_cpu_s / len(split.test),
    }


def model_names(text: str) -> tuple[str, ...]:
    """Names with commas, or ``all``, in the order of the table."""
    named = {name.strip() for name in text.split(",") if name.strip()}
    settings = BenchmarkSettings(models=tuple(TITLES) if "all" in named else tuple(named))
    return settings.models


def needs_dos(model: str) -> bool:
    """Whether a model cannot predict without a DOS."""
    return model in TITLES and model not in GRAPH_MODELS and model != "mean"
