"""Section ``model``: the network, its training and its input."""

from typing import Annotated, Literal

from pydantic import Field

from campaign.config.strict_model import StrictModel
from campaign.spec.sections.types import BundlePath, Width


class TrainingSection(StrictModel):
    """Training of ESNet if no bundle is given; the defaults are those of the paper."""

    widths: Annotated[tuple[Width, ...], Field(strict=False, min_length=4, max_length=4)] = Field(
        default=(64, 128, 256, 512), description="channels of the four blocks of ESNet, e.g. [64, 128, 256, 512]"
    )
    learning_rate: float = Field(
        default=0.00175, ge=1e-9, lt=1.0, description="initial learning rate of Adam (no unit)"
    )
    fine_tuning_factor: float = Field(
        default=0.1, gt=0.0, le=1.0, description="factor on the learning rate for fine-tuning a trained model"
    )
    batch_size: int = Field(default=32, ge=1, le=65_536, description="number of structures in one training step")
    max_epochs: int = Field(default=300, ge=1, le=100_000, description="maximum number of passes over the training set")
    plateau_factor: float = Field(
        default=0.5, gt=0.0, lt=1.0, description="factor on the learning rate when the loss stops decreasing"
    )
    plateau_patience: int = Field(
        default=15, ge=1, description="epochs without a better loss after which the learning rate is reduced"
    )
    stop_patience: int = Field(
        default=35, ge=1, description="epochs without a better validation loss after which training stops"
    )
    validation_fraction: float = Field(
        default=0.1,
        ge=0.0,
        lt=1.0,
        description="fraction of the structures kept for validation, at least 0 and below 1",
    )
    loss: Literal["logcosh", "mae", "mse"] = Field(
        default="logcosh", description="loss of the standardised formation energies"
    )
    max_dos: float | None = Field(
        default=50.0,
        gt=0.0,
        description="structures with a larger DOS in states/eV per atom are left out; null: no filter",
    )
    max_abs_formation_energy: float | None = Field(
        default=5.0, gt=0.0, description="structures with a larger |E_f| in eV/atom are left out; null: no filter"
    )


class RepresentationSection(StrictModel):
    """Conversion of a DOS into the network's input; stored with the model."""

    normalisation: Literal["atom", "element", "none"] = Field(
        default="atom", description="divide by the number of atoms, by the number of distinct elements, or not at all"
    )
    energy_reference: Literal["absolute", "fermi"] = Field(
        default="absolute", description="zero of energy: as written by the engine, or the Fermi level"
    )
    composition: Literal["presence", "fraction"] = Field(
        default="presence", description="composition vector: 1 for each element present, or the atomic fractions"
    )


class ModelSection(StrictModel):
    """The network that predicts formation energies: a trained one, or one trained on a bootstrap sample."""

    bundle: BundlePath | None = Field(
        default=None,
        description="folder of a trained ESNet, or the name of one that ships with the project; "
        "null: train one on the bootstrap sample",
    )
    corrections: Literal["none", "mp2020"] | None = Field(
        default=None,
        description="corrections included in the energies of a bundle that does not state them; null: as stated by "
        "the bundle",
    )
    bootstrap_size: int = Field(
        default=12,
        ge=2,
        description="number of candidates that are relaxed first to train ESNet, if no bundle is given",
    )
    training: TrainingSection = Field(default=TrainingSection(), description="settings of the training")
    representation: RepresentationSection = Field(
        default=RepresentationSection(), description="settings of the network's input"
    )
