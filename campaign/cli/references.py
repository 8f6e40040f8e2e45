"""The commands `campaign references ...`: files of entries, and the reference sets of a database."""

from pathlib import Path
from typing import Annotated

import typer

from campaign.cli.options import LaunchpadOption
from esnet.cli.lazy import implemented_in
from esnet.cli.program import Program

app = Program(
    help="References for the convex hull: files of entries, and frozen reference sets."
    "\n\nExample: campaign references check alloys.json.gz"
)
EntriesArgument = Annotated[
    Path, typer.Argument(metavar="FILE", help="File of entries: .json or .jsonl, optionally .gz")
]


@app.command("fetch-mp")
@implemented_in("campaign.commands.references")
def fetch_mp(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="File to write, .json or .json.gz; must not exist yet")],
    elements: Annotated[str, typer.Option(help="Elements of your candidates, separated by commas: Al,Cu,Pd")],
    max_elements: Annotated[
        int | None,
        typer.Option(
            min=1, help="Largest number of elements in a phase, usually that of your candidates; default: all"
        ),
    ] = None,
    endpoint: Annotated[
        str | None, typer.Option(help="Address of the REST interface of a mirror; default: mp-api's")
    ] = None,
) -> None:
    """Fetch the known phases of given elements from the Materials Project (requires mp-api, extra mp).

    The energies are PBE energies from VASP with the corrections mp2020. Your API key is read from the environment
    variable MP_API_KEY.

    Example: campaign references fetch-mp alloys.json.gz --elements Al,Cu,Pd
    """


@app.command()
@implemented_in("campaign.commands.references")
def check(
    file: EntriesArgument,
    engine: Annotated[str | None, typer.Option(help="vasp or gpaw; default: as stated in the file")] = None,
    elements: Annotated[
        str | None, typer.Option(help="Only entries made of these elements, e.g. Al,Cu,Pd; default: all")
    ] = None,
) -> None:
    """Summarise a file of entries, or list everything that is wrong with it.

    Example: campaign references check alloys.json.gz
    """


@app.command("list")
@implemented_in("campaign.commands.references")
def list_sets(launchpad: LaunchpadOption = None) -> None:
    """List the reference sets in the database.

    Example: campaign references list
    """


@app.command()
@implemented_in("campaign.commands.references")
def show(
    checksum: Annotated[str, typer.Argument(metavar="CHECKSUM", help="Checksum of a set; its first digits are enough")],
    launchpad: LaunchpadOption = None,
    output: Annotated[
        Path | None, typer.Option(help="Also write the set as a file of entries, .json or .json.gz; default: none")
    ] = None,
) -> None:
    """Verify and describe a reference set; optionally write it as a file that another campaign can use.

    Example: campaign references show 3f9a61c2 --output alloys.json.gz
    """
