"""Settings of `esnet benchmark`."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from esnet.files.errors import UserError
from esnet.graph.kinds import KINDS, GraphTraining
from esnet.network.model import PAPER_WIDTHS
from esnet.training.settings import TrainingSettings

TITLES: Mapping[str, str] = {
    "mean": "mean of the training part",
    **{name: kind.title for name, kind in KINDS.items()},
    "krr": "KRR",
    "svr": "SVR",
    "rf": "RF",
    "xgboost": "XGBoost",
    "dnn": "DNN",
    "cnn": "CNN",
    "esnet": "ESNet",
}
"""All models that can be compared: the baseline, then the models in the order of the paper's Table 1."""

NEED_MOMENTS = frozenset({"krr", "svr", "rf", "xgboost", "dnn"})
NETWORKS = frozenset({"dnn", "cnn", "esnet"})
GRAPH_MODELS = frozenset(KINDS)
"""Models that use the crystal or its composition, and no DOS."""
DOS_MODELS = tuple(name for name in TITLES if name not in GRAPH_MODELS)

_QUICK_EPOCHS = 15
_QUICK_WIDTHS = (8, 16, 32, 64)


class BenchmarkError(UserError, ValueError):
    """A comparison cannot be made; the message gives the reason and a remedy."""


@dataclass(frozen=True, kw_only=True)
class BenchmarkSettings:
    """Settings of a comparison.

    Attributes
    ----------
    models
        Keys of `TITLES`; the baseline is always included. By default, the models that need only the DOS.
    train_kinds
        ``rs_dos`` (as in the paper: trained on relaxed structures, tested on both), ``is_dos`` or ``both``.
    split_by, seed, validation_fraction, test_fraction
        See `esnet.dataset.splits.split_dataset`; the seed is also used for every model.
    epochs, widths
        Number of epochs and widths of the networks. If None, the paper's (300; 64, 128, 256, 512), or with ``quick`` 15
        and 8, 16, 32, 64. Graph models train for 100 epochs by default.
    quick
        Whether to use small networks, few trees and fixed parameters, for a trial run. The resulting errors must not be
        used to compare models.
    max_kernel_samples
        Largest number of samples that KRR and SVR are fitted to (see `esnet.baselines.classical.fit_classical`).
    threads
        Number of threads for the trees and the graph models. If None, the number of cores of this process.
    """

    models: tuple[str, ...] = DOS_MODELS
    train_kinds: Literal["is_dos", "rs_dos", "both"] = "rs_dos"
    split_by: Literal["random", "chemsys", "prototype"] = "random"
    seed: int = 1
    validation_fraction: float = 0.1
    test_fraction: float = 0.1
    epochs: int | None = None
    widths: tuple[int, ...] | None = None
    quick: bool = False
    max_kernel_samples: int = 10_000
    threads: int | None = None

    def __post_init__(self) -> None:
        unknown = [name for name in self.models if name not in TITLES]
        if unknown:
            raise BenchmarkError(f"models {', '.join(unknown)} are not known; there are {', '.join(TITLES)}")
        if self.train_kinds not in ("is_dos", "rs_dos", "both"):
            raise BenchmarkError(f"train_kinds={self.train_kinds!r}: must be rs_dos, is_dos or both")
        for name in ("max_kernel_samples", "threads"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise BenchmarkError(f"{name}={value!r}: must be a whole number above 0")
        # in the order of the table, without repetitions
        object.__setattr__(self, "models", tuple(name for name in TITLES if name in {"mean", *self.models}))
        try:
            self.training_settings()
        except ValueError as error:
            raise BenchmarkError(str(error)) from error

    def training_settings(self) -> TrainingSettings:
        """Return the settings of the three networks: those of the paper unless overridden.

        The filters are off, because the data set was filtered when it was written, equally for all models.
        """
        widths = self.widths or (_QUICK_WIDTHS if self.quick else PAPER_WIDTHS)
        return TrainingSettings(
            seed=self.seed,
            widths=widths,  # type: ignore[arg-type]  # TrainingSettings checks their number
            max_epochs=self.epochs if self.epochs is not None else _QUICK_EPOCHS if self.quick else 300,
            max_dos=None,
            max_abs_formation_energy=None,
        )

    def graph_settings(self, name: str) -> GraphTraining:
        """Return the settings of a graph model: those of its authors unless overridden."""
        epochs = self.epochs if self.epochs is not None else _QUICK_EPOCHS if self.quick else None
        return KINDS[name].training.with_changes(seed=self.seed, epochs=epochs, threads=self.threads)

    def to_dict(self) -> dict[str, Any]:
        """Return the settings in JSON types."""
        given = asdict(self)
        return given | {"models": list(self.models), "widths": None if self.widths is None else list(self.widths)}
