"""Convert command-line options to settings of the library."""

from typing import Any

import typer

from esnet.dataset.dataset import Filters
from esnet.training.settings import TrainingSettings


def filters_of(max_dos: float, max_abs_formation_energy: float, keep_f_block: bool) -> Filters:
    """Return the filters given by command-line options; 0 means no filter."""
    return Filters(
        max_dos=max_dos or None, max_abs_formation_energy=max_abs_formation_energy or None, f_block=not keep_f_block
    )


def widths_of(text: str) -> tuple[int, int, int, int]:
    """Return the numbers of channels of the four blocks from the text of an option."""
    try:
        first, second, third, fourth = (int(part) for part in text.split(","))
    except ValueError:
        what = f"{text!r}: must be four whole numbers with commas, e.g. 64,128,256,512"
        raise typer.BadParameter(what, param_hint="--widths") from None
    return first, second, third, fourth


def training_settings(*, widths: str, mixed_precision: bool, **settings: Any) -> TrainingSettings:
    """Return the training settings given by options; a value out of range is a usage error."""
    try:
        return TrainingSettings(
            widths=widths_of(widths), precision="mixed_bfloat16" if mixed_precision else "float32", **settings
        )
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
