"""The record of one training run, which documents the origin of a model in its bundle."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Self

from esnet.files.versions import installed_versions

RECORD_VERSION = 3
"""Version 1 lacks split, kinds, metrics by task and environment; version 2 lacks ``initial``, which is read as None."""
RESIDUAL_VERSION = 4
"""Version 3, for a training on a potential's residuals: programs that would take these for formation energies refuse
it.
"""

SINGLE_POINT = "single point"
"""As ``potential`` in `TrainingRecord.residual_of`: the energy of the IS-DOS calculation itself."""

_WITHOUT_INITIAL = 2


@dataclass(frozen=True, kw_only=True)
class TrainingRecord:
    """The record of one training run; energies in eV/atom, times in s.

    Attributes
    ----------
    version
        Version of this list of fields.
    data_checksum, data_name
        SHA-256 that identifies the samples (of a data set, or over ids, features, compositions and energies in memory),
        and the name of the data set ("" for samples in memory).
    data_source
        Origin of the samples as stated by the data set, with ``engine`` (``vasp``, ``gpaw``) and ``quality`` if known.
        Empty for samples in memory of unstated origin.
    n_materials
        Number of distinct materials in the training part; a material with an IS-DOS and an RS-DOS gives two samples.
    kinds
        Kinds trained on: ``is_dos``, ``rs_dos`` or ``both``; None for samples in memory, for which it is unknown.
    split
        How the data set was divided (`esnet.dataset.splits.Split.to_dict`); None for samples in memory, which the
        seed divides.
    initial
        The trained network from which this run continued (`esnet.training.pretrained.PretrainedNetwork.to_dict`):
        ``checksum`` of its bundle, number of the ``member`` in it, ``n_new``, the number of training samples that the
        bundle was not trained on (None if unknown), and ``validation_loss`` and ``validation_mae`` (eV/atom) on the
        validation part of this run before the first epoch (None without such a part). None for random initial weights.
    n_samples
        Number of samples of the kinds trained on, in all parts.
    n_dropped
        Number of training and validation samples left out by each filter, by the setting's name.
    dropped_ids
        Ids of the samples left out; for a data set, the first thousand.
    n_train, n_validation, n_test
        Number of samples for training, for early stopping, and held out from every choice.
    validation_note
        Why there is no validation part; None if there is one.
    epochs, best_epoch
        Number of epochs run, and the epoch (from 1) whose weights were kept. 0 means that no epoch was better than the
        network from which the run continued, whose weights were then kept.
    stopped
        Why training stopped.
    loss, validation_loss, learning_rate
        One value per epoch; the losses are those of the standardised energies.
    validation_mae
        One value per epoch, eV/atom; None without a validation part.
    mae_train, mae_validation, mae_test
        Mean absolute errors of the kept weights over the kinds trained on, eV/atom; None without such a part.
    metrics
        ``n``, ``mae`` and ``rmse`` (eV/atom) for each part (``train``, ``validation``, ``test``) and each of ``all``,
        ``IS2RE`` and ``RS2RE`` with samples in it. The test part was used for nothing else.
    batch_size, batch_norm_momentum
        Values used (see `esnet.training.settings.TrainingSettings`).
    n_parameters
        Number of weights, trainable or not.
    representation, settings
        As dictionaries.
    seed
        Seed of initial weights and order of batches, and of the division of samples in memory.
    versions
        Versions of Python, of the packages used, and of the Keras backend.
    environment
        Hardware and software (see `esnet.training.environment`).
    started, finished
        Times, UTC, ISO 8601; ``started`` is the start of the process that finished the training.
    wall_s, cpu_s
        Wall and CPU time of the whole run, s: building the graph, and the epochs in all processes.
    """

    version: int = RECORD_VERSION
    data_checksum: str
    data_name: str
    data_source: dict[str, Any]
    initial: dict[str, Any] | None = None
    n_materials: int
    kinds: str | None
    split: dict[str, Any] | None
    n_samples: int
    n_dropped: dict[str, int]
    dropped_ids: list[str]
    n_train: int
    n_validation: int
    n_test: int
    validation_note: str | None
    epochs: int
    best_epoch: int
    stopped: str
    loss: list[float]
    validation_loss: list[float] | None
    validation_mae: list[float] | None
    learning_rate: list[float]
    mae_train: float
    mae_validation: float | None
    mae_test: float | None
    metrics: dict[str, dict[str, dict[str, float | int]]]
    batch_size: int
    batch_norm_momentum: float
    n_parameters: int
    representation: dict[str, str]
    settings: dict[str, Any]
    seed: int
    versions: dict[str, str]
    environment: dict[str, Any]
    started: str
    finished: str
    wall_s: float
    cpu_s: float

    @property
    def residual_of(self) -> dict[str, Any] | None:
        """The potential whose formation energies are subtracted from the targets (`esnet.residual.residuals`), or None.

        `SINGLE_POINT` instead of a potential has ``energies`` and ``comparison`` alone.

        ``potential`` and everything that affects its energies, ``energies``: their corrections, ``elements``: the
        potential's energies of the elements in eV/atom, ``comparison``: errors of the potential alone and with the
        model.
        """
        return self.data_source.get("residual_of")

    @property
    def adds_single_point(self) -> bool:
        """Whether predictions are to be added to the formation energies of the unrelaxed crystals."""
        return (self.residual_of or {}).get("potential") == SINGLE_POINT

    def to_dict(self) -> dict[str, Any]:
        """Return the record in JSON types."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Create from the result of `to_dict`; ValueError for another version, and for missing or unknown keys."""
        version = data.get("version", 1)
        if version == _WITHOUT_INITIAL:
            data = {**data, "initial": None, "version": RECORD_VERSION}
        elif version not in (RECORD_VERSION, RESIDUAL_VERSION):
            raise ValueError(
                f"training record has version {version}, this program reads {_WITHOUT_INITIAL} to {RESIDUAL_VERSION}: "
                "use the program's version that wrote it, or train again"
            )
        names = {field.name for field in fields(cls)}
        if set(data) != names:
            missing, unknown = sorted(names - set(data)), sorted(set(data) - names)
            raise ValueError(f"training record lacks the keys {missing} and has unknown keys {unknown}")
        return cls(**data)


def software_versions() -> dict[str, str]:
    """Return the versions of Python and of the packages used by a training run."""
    import keras

    packages = ("esnet-campaign", "keras", "numpy", "tensorflow", "tensorflow-cpu", "torch", "jax")
    return installed_versions(*packages) | {"keras_backend": keras.config.backend()}
