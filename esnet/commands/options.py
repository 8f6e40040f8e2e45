"""Arguments and options that several commands have.

The choices are those of `esnet.dataset.splits`, `esnet.representation.dos` and `esnet.representation.features`,
written again because these import NumPy, and help answers without it; a test compares them.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

if TYPE_CHECKING:
    from esnet.dataset.dataset import Filters
    from esnet.training.settings import TrainingSettings

Kinds = Literal["is_dos", "rs_dos", "both"]
"""What is trained on."""
SplitBy = Literal["random", "chemsys", "prototype"]
"""What the parts have not in common, beside materials."""

DatasetArgument = Annotated[Path, typer.Argument(metavar="DATASET", help="Directory of a data set")]

MaxDosOption = Annotated[
    float, typer.Option(help="Leave out samples with a density above this, states/eV; 0: no such filter")
]
MaxEnergyOption = Annotated[
    float, typer.Option(help="Leave out samples with a formation energy further from 0, eV/atom; 0: no such filter")
]
FBlockOption = Annotated[bool, typer.Option("--f-block", help="Keep samples with f-block elements, left out otherwise")]

NormalisationOption = Annotated[
    Literal["atom", "element", "none"], typer.Option(help="What the sum over sites is divided by")
]
ReferenceOption = Annotated[
    Literal["absolute", "fermi"],
    typer.Option(help="Energies as the source writes them, or relative to the Fermi level"),
]
CompositionOption = Annotated[
    Literal["presence", "fraction"], typer.Option(help="Elements that are present, or their fractions")
]


def filters_of(max_dos: float, max_abs_formation_energy: float, keep_f_block: bool) -> Filters:
    """Filters from the options of a command line, where 0 means none."""
    from esnet.dataset.dataset import Filters

    return Filters(
        max_dos=max_dos or None,
        max_abs_formation_energy=max_abs_formation_energy or None,
        f_block=not keep_f_block,
    )


def widths_of(text: str) -> tuple[int, int, int, int]:
    """Channels of the four blocks from the text of an option."""
    try:
        first, second, third, fourth = (int(part) for part in text.split(","))
    except ValueError:
        what = f"{text!r}: must be four whole numbers with commas, e.g. 64,128,256,512"
        raise typer.BadParameter(what, param_hint="--widths") from None
    return first, second, third, fourth


def training_settings(*, widths: str, mixed_precision: bool, **settings: Any) -> TrainingSettings:
    """Make the settings of a training from options; a value out of range is a mistake on the command line."""
    from esnet.training.settings import TrainingSettings

    try:
        return TrainingSettings(
            widths=widths_of(widths), precision="mixed_bfloat16" if mixed_precision else "float32", **settings
        )
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
