"""The command `campaign replay`: what policies would have found on known data, and at what cost in CPU-hours."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from campaign.cli.options import LaunchpadOption
from esnet.cli.lazy import implemented_in
from esnet.cli.options import JsonOption

_POLICY_HELP = (
    "A policy with its settings as in a campaign file, e.g. probability:p=0.3 or budget:cpu_hours=12; "
    "may be given several times; default: thresholds"
)


@implemented_in("campaign.commands.replay")
def replay(
    dataset: Annotated[
        Path | None,
        typer.Argument(metavar="DATASET", help="CSV or JSONL file, or directory of an ESNet data set (with --model)"),
    ] = None,
    policy: Annotated[list[str] | None, typer.Option(help=_POLICY_HELP)] = None,
    seeds: Annotated[
        int, typer.Option(min=1, max=10_000, help="Number of random orders of the candidates to replay")
    ] = 1,
    output: Annotated[
        Path | None,
        typer.Option(help="Directory to create: summary.json, totals.csv, curves.csv, curves.png, .svg; default: none"),
    ] = None,
    structures: Annotated[
        Path | None,
        typer.Option(
            help="For a file without formulas: folder of CIF or POSCAR files named after the ids; default: none"
        ),
    ] = None,
    references: Annotated[
        Path | None,
        typer.Option(
            help="JSON or JSONL file of pymatgen entries for E_hull, where the data have none; default: the elements"
        ),
    ] = None,
    model: Annotated[
        str | None, typer.Option(help="For a data set: the bundle that predicts, or its name; default: none")
    ] = None,
    part: Annotated[
        Literal["test", "all"],
        typer.Option(help="For a data set: the samples to use; test: those that the model was not fitted to"),
    ] = "test",
    leave_out: Annotated[
        list[str] | None,
        typer.Option(
            metavar="ID",
            help="For a file: leave out this row; unphysical: every row with an energy beyond 20 eV/atom; may be "
            "given several times; default: none",
        ),
    ] = None,
    cascade: Annotated[
        list[str] | None,
        typer.Option(
            metavar="CHEAP,DEAR",
            help="For a file with several scorers: add one that uses DEAR only for candidates that pass CHEAP, as a "
            "prefilter does; CHEAP,DEAR,combined: and then weights both predictions; may be given several times; "
            "default: none",
        ),
    ] = None,
    campaign: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Instead of DATASET: a finished campaign in the database; default: none"),
    ] = None,
    launchpad: LaunchpadOption = None,
    batch_size: Annotated[int, typer.Option(min=1, help="Candidates in each screening batch")] = 256,
    cpu_hours: Annotated[
        float | None,
        typer.Option(min=0.0, help="CPU-hours for the whole campaign, including IS-DOS; default: no limit"),
    ] = None,
    relaxations: Annotated[
        int | None, typer.Option(min=0, help="Maximum number of relaxations; default: no limit")
    ] = None,
    stop_after_stable: Annotated[
        int | None, typer.Option(min=1, help="Stop when this number of stable materials is found; default: never")
    ] = None,
    stop_after_no_discovery: Annotated[
        int | None,
        typer.Option(
            min=1, help="Stop after this number of consecutive relaxations without a stable material; default: never"
        ),
    ] = None,
    stable_e_form: Annotated[
        float | None,
        typer.Option(help="Largest E_f in eV/atom that counts as stable (default: 0.0, or the campaign's)"),
    ] = None,
    stable_e_hull: Annotated[
        float | None,
        typer.Option(help="Largest E_hull in eV/atom that counts as stable (default: 0.1, or the campaign's)"),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Replay a campaign's decisions on known data, without DFT: stable materials found against CPU-hours.

    Example: campaign replay examples/replay.csv --policy thresholds --policy best_first:cpu_hours=12 --seeds 5
    """
