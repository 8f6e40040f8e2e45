"""Settings of a training, with the paper's values as defaults."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, Self, get_args

from esnet.network.model import PAPER_WIDTHS, check_widths

Loss = Literal["logcosh", "mae", "mse"]
Precision = Literal["float32", "mixed_bfloat16"]


@dataclass(frozen=True, kw_only=True)
class TrainingSettings:
    """Settings of a training.

    Attributes
    ----------
    learning_rate
        Initial learning rate of Adam.
    batch_size
        Samples per step. If the last batch would be less than half full, the next larger size that avoids this is used
        (at most the number of samples), since batch statistics of one or two samples corrupt the running statistics of
        the network. The record states the size used.
    max_epochs
        Largest number of epochs. Without a validation part, all of them are run.
    fine_tuning_factor
        Factor on the learning rate if training continues from a bundle, whose weights are already good and would be
        destroyed by larger steps. A tenth is the usual choice for fine-tuning.
    plateau_factor, plateau_patience
        The learning rate is multiplied by the factor after this many epochs without a better loss.
    stop_patience
        Epochs without a better validation loss after which training stops; the best weights are kept.
    validation_fraction
        Fraction of the samples held out (chosen by the seed); none if that would be fewer than 5 samples.
    widths
        Channels of the four blocks (see `esnet.network.model.build_esnet`).
    loss
        ``logcosh``, ``mae`` or ``mse`` of the standardised energies.
    batch_norm_momentum
        Momentum of the running statistics that predictions use. If None, 0.99 as in the paper, or 0.9 if an epoch has
        fewer than 10 batches, since the statistics would lag behind the weights.
    max_dos
        Largest absolute density, in states/eV per atom; samples above it are left out. If None, no limit.
    max_abs_formation_energy
        Largest absolute formation energy, in eV/atom; samples above it are left out. If None, no limit.
    seed
        Seed of the split, the initial weights and the order of batches.
    deterministic
        Whether to request bitwise reproducible operations from TensorFlow (for the whole process). Keras refuses it
        together with ``xla``.
    precision
        ``float32``, or ``mixed_bfloat16``: layers compute in bfloat16, weights and the output layer are float32.
        Faster on GPUs with tensor cores and on TPUs; the bundle predicts in float32 either way.
    xla
        Whether XLA compiles the training step (Keras' ``jit_compile``).
    """

    learning_rate: float = 0.00175
    batch_size: int = 32
    max_epochs: int = 300
    plateau_factor: float = 0.5
    plateau_patience: int = 15
    stop_patience: int = 35
    validation_fraction: float = 0.1
    widths: tuple[int, int, int, int] = PAPER_WIDTHS
    loss: Loss = "logcosh"
    batch_norm_momentum: float | None = None
    max_dos: float | None = 50.0
    max_abs_formation_energy: float | None = 5.0
    seed: int = 0
    deterministic: bool = True
    precision: Precision = "float32"
    xla: bool = False
    fine_tuning_factor: float = 0.1

    def __post_init__(self) -> None:
        # YAML and JSON files give lists instead of tuples
        object.__setattr__(self, "widths", tuple(self.widths))
        check_widths(self.widths)
        for name in ("batch_size", "max_epochs", "plateau_patience", "stop_patience"):
            _require(name, getattr(self, name), _is_int(getattr(self, name), 1), "a whole number above 0")
        _require("seed", self.seed, _is_int(self.seed, 0), "a whole number, 0 or above")
        _require("learning_rate", self.learning_rate, 0 < self.learning_rate < 1, "above 0 and below 1")
        _require("plateau_factor", self.plateau_factor, 0 < self.plateau_factor < 1, "above 0 and below 1")
        factor = self.fine_tuning_factor
        _require("fine_tuning_factor", factor, 0 < factor <= 1, "above 0 and at most 1")
        fraction = self.validation_fraction
        _require("validation_fraction", fraction, 0 <= fraction < 1, "0 or above and below 1")
        _require("loss", self.loss, self.loss in get_args(Loss), f"one of {', '.join(get_args(Loss))}")
        precisions = get_args(Precision)
        _require("precision", self.precision, self.precision in precisions, f"one of {', '.join(precisions)}")
        for name in ("deterministic", "xla"):
            _require(name, getattr(self, name), isinstance(getattr(self, name), bool), "true or false")
        momentum = self.batch_norm_momentum
        _require("batch_norm_momentum", momentum, momentum is None or 0 < momentum < 1, "between 0 and 1")
        for name in ("max_dos", "max_abs_formation_energy"):
            limit = getattr(self, name)
            _require(name, limit, limit is None or limit > 0, "above 0, or None")

    def to_dict(self) -> dict[str, Any]:
        """Return the settings in JSON types."""
        return asdict(self) | {"widths": list(self.widths)}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Create settings from a mapping; missing ones get their defaults, unknown ones raise ValueError."""
        unknown = sorted(set(data) - {field.name for field in fields(cls)})
        if unknown:
            raise ValueError(f"training settings do not know {', '.join(unknown)}")
        return cls(**data)


def _is_int(value: Any, lowest: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= lowest


def _require(name: str, value: Any, valid: bool, right: str) -> None:
    if not valid:
        raise ValueError(f"{name}={value!r}: must be {right}")
