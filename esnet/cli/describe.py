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
        str, typer.Argument(metavar="BUNDLE", help="Directory of a trained ESNet, or a shipped one's name")
    ],
    as_json: Annotated[bool, typer.Option("--json", help="Everything, scaler and epochs included, as JSON")] = False,
) -> None:
    """Say what a trained ESNet is: data, split, settings, errors, uncertainty, versions, machine, model card.

    Example: esnet describe models/oxides --json
    """
