"""Arguments and options that several commands of `esnet` and `campaign` take.

The choices are those of `esnet.dataset.splits`, `esnet.representation.dos` and `esnet.representation.features`,
written again because these import NumPy, and help answers without it; a test compares them.
"""

from pathlib import Path
from typing import Annotated, Literal

import typer

Kinds = Literal["is_dos", "rs_dos", "both"]
"""What is trained on."""
SplitBy = Literal["random", "chemsys", "prototype"]
"""What the parts have not in common, beside materials."""

JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON")]
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
