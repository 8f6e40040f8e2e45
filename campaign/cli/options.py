"""Arguments that several commands of `campaign` take."""

from __future__ import annotations

from typing import Annotated

import typer

NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="Name of the campaign, as in its file")]
