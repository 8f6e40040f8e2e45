"""Available graph models, their requirements and their authors' training settings, without heavy imports."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal, Self

from esnet.files.errors import UserError


class GraphModelError(UserError, ValueError):
    """A graph model cannot be trained or used; the message gives the reason and a remedy."""


@dataclass(frozen=True, kw_only=True)
class GraphTraining:
    """Training settings of a graph model.

    Attributes
    ----------
    seed
        Seed of the initial weights, the order of the samples and the dropout.
    epochs, patience
        Largest number of epochs, and number of epochs without a lower validation MAE after which training stops.
    batch_size
        Largest number of samples per step; a small training part is divided into `FEWEST_STEPS` batches per epoch.
    learning_rate, decay, weight_decay
        Initial learning rate, its factor after each epoch, and the weight decay.
    optimiser, loss
        Optimiser, and loss of the standardised formation energies (squared or absolute errors).
    threads
        Number of threads of torch. If None, it is not changed.
    """

    seed: int = 1
    epochs: int = 100
    patience: int = 20
    batch_size: int
    learning_rate: float
    decay: float = 1.0
    weight_decay: float = 0.0
    optimiser: Literal["adam", "adamw"] = "adam"
    loss: Literal["mse", "mae"] = "mse"
    threads: int | None = None

    def with_changes(self, **changes: Any) -> Self:
        """Return a copy with changed settings; None leaves a setting unchanged."""
        return replace(self, **{name: value for name, value in changes.items() if value is not None})

    def to_dict(self) -> dict[str, Any]:
        """Return the settings in JSON types, without the number of threads, which does not affect results."""
        return {name: value for name, value in asdict(self).items() if name != "threads"}


FEWEST_STEPS = 16
"""Smallest number of optimiser steps per epoch; for a small training part, the batches are made smaller."""
SMALLEST_BATCH = 8
"""Smallest batch size; batch normalisation over fewer samples is unreliable."""


@dataclass(frozen=True, kw_only=True)
class GraphKind:
    """A kind of graph model.

    Attributes
    ----------
    name, title
        Name in commands and files, and name in tables.
    n_parameters
        Number of parameters of the network, as counted by its library.
    packages
        Required packages, by the names under which they are imported.
    needs_crystal
        Whether it uses the crystal; otherwise the composition is sufficient.
    training
        Settings of the training.
    source
        Source of the network and of the training settings.
    """

    name: str
    title: str
    n_parameters: int
    packages: tuple[str, ...]
    needs_crystal: bool
    training: GraphTraining
    source: str


_AVIARY = GraphTraining(batch_size=128, learning_rate=3e-4, weight_decay=1e-6, optimiser="adamw", loss="mae")

KINDS: Mapping[str, GraphKind] = {
    kind.name: kind
    for kind in (
        GraphKind(
            name="cgcnn-hd",
            title="CGCNN-HD",
            n_parameters=242_011,
            packages=("torch", "aviary"),
            needs_crystal=True,
            training=GraphTraining(batch_size=64, learning_rate=1e-3, decay=0.97),
            source="J. Noh et al., J. Chem. Inf. Model. 60, 1996 (2020), DOI 10.1021/acs.jcim.0c00003: network and "
            "training; elements' features: those of CGCNN, from aviary",
        ),
        GraphKind(
            name="megnet",
            title="MEGNet",
            n_parameters=189_621,
            packages=("torch", "matgl"),
            needs_crystal=True,
            training=GraphTraining(batch_size=128, learning_rate=1e-3),
            source="C. Chen et al., Chem. Mater. 31, 3564 (2019), DOI 10.1021/acs.chemmater.9b01294: network of matgl "
            "with its defaults, Adam and squared errors",
        ),
        GraphKind(
            name="wren",
            title="Wren",
            n_parameters=2_603_421,
            packages=("torch", "aviary"),
            needs_crystal=True,
            training=_AVIARY,
            source="R. Goodall et al., Sci. Adv. 8, eabn4117 (2022), DOI 10.1126/sciadv.abn4117: network and training "
            "of aviary",
        ),
        GraphKind(
            name="roost",
            title="Roost",
            n_parameters=2_322_896,
            packages=("torch", "aviary"),
            needs_crystal=False,
            training=_AVIARY,
            source="R. Goodall, A. Lee, Nat. Commun. 11, 6280 (2020), DOI 10.1038/s41467-020-19964-7: network and "
            "training of aviary",
        ),
    )
}
"""The graph models, in the order of the paper's Table 1."""


def kind_of(name: str) -> GraphKind:
    """Return the kind with the given name.

    Raises
    ------
    GraphModelError
        If there is no such kind; the message lists the available ones.
    """
    if name not in KINDS:
        raise GraphModelError(f"graph model {name!r} is not known; there are {', '.join(KINDS)}")
    return KINDS[name]
