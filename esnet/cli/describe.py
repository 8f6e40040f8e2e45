"""The command `esnet describe`.

Example
-------
::

    esnet describe models/oxides
    esnet describe models/oxides --json
"""

from typing import Annotated

import typer

from esnet.cli.lazy import implemented_in


@implemented_in("esnet.commands.describe")
def describe(
    bundle: Annotated[
        str,
        typer.Argument(
            metavar="BUNDLE", help="Directory of a trained ESNet, or the name of one shipped with the project"
        ),
    ],
    as_json: Annotated[
        bool, typer.Option("--json", help="Print everything, including scaler and epochs, as JSON")
    ] = False,
) -> None:
    """Describe a trained ESNet: data, split, settings, errors, uncertainty, versions, machine, model card.

    Example: esnet describe models/oxides --json
    """
