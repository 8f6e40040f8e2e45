"""Arguments and options shared by several commands of `esnet` and `campaign`.

The choices are those of `esnet.dataset.splits`, `esnet.representation.dos` and `esnet.representation.features`. They
are repeated here because those modules import NumPy, which `--help` should not; a test compares them.
"""

from pathlib import Path
from typing import Annotated, Literal

import typer

Kinds = Literal["is_dos", "rs_dos", "both"]
"""Kinds of DOS to train on."""
SplitBy = Literal["random", "chemsys", "prototype"]
"""Property that the parts must not share, in addition to materials."""

JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON")]
DatasetArgument = Annotated[Path, typer.Argument(metavar="DATASET", help="Directory of a data set")]

MaxDosOption = Annotated[
    float, typer.Option(help="Leave out samples with a density above this, in states/eV; 0: no limit")
]
MaxEnergyOption = Annotated[
    float, typer.Option(help="Leave out samples with an absolute formation energy above this, in eV/atom; 0: no limit")
]
FBlockOption = Annotated[
    bool, typer.Option("--f-block", help="Keep samples with f-block elements, which are otherwise left out")
]

NormalisationOption = Annotated[
    Literal["atom", "element", "none"],
    typer.Option(help="Divide the sum over sites by the number of atoms, of distinct elements, or not at all"),
]
ReferenceOption = Annotated[
    Literal["absolute", "fermi"], typer.Option(help="Energies as written by the source, or relative to the Fermi level")
]
CompositionOption = Annotated[
    Literal["presence", "fraction"], typer.Option(help="Composition vector: elements present, or their fractions")
]
