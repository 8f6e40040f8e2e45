"""The command `campaign replay`: what policies would have found, and for how many CPU-hours, on known data."""

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
    seeds: Annotated[int, typer.Option(min=1, max=10_000, help="Replay with so many orders of the candidates")] = 1,
    output: Annotated[
        Path | None,
        typer.Option(help="Directory to make: summary.json, totals.csv, curves.csv, curves.png, .svg; default: none"),
    ] = None,
    structures: Annotated[
        Path | None,
        typer.Option(help="Of a file without formulas: folder of CIF or POSCAR files, stem = id; default: none"),
    ] = None,
    references: Annotated[
        Path | None,
        typer.Option(
            help="JSON or JSONL file of pymatgen entries, for E_hull where the data have none; default: the elements"
        ),
    ] = None,
    model: Annotated[
        str | None, typer.Option(help="Of a data set: the bundle that predicts, or its name; default: none")
    ] = None,
    part: Annotated[
        Literal["test", "all"], typer.Option(help="Of a data set; test: what the model has not been fitted to")
    ] = "test",
    leave_out: Annotated[
        list[str] | None,
        typer.Option(
            metavar="ID",
            help="Of a file: leave this row out; unphysical: every row with an energy beyond 20 eV/atom; may be given "
            "several times; default: none",
        ),
    ] = None,
    cascade: Annotated[
        list[str] | None,
        typer.Option(
            metavar="CHEAP,DEAR",
            help="Of a file with several scorers: add one that asks DEAR only where CHEAP leaves hope, as a prefilter "
            "does; CHEAP,DEAR,combined: and then weighs both; may be given several times; default: none",
        ),
    ] = None,
    campaign: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Instead of DATASET: a finished campaign of the database; default: none"),
    ] = None,
    launchpad: LaunchpadOption = None,
    batch_size: Annotated[int, typer.Option(min=1, help="Candidates in a Screen")] = 256,
    cpu_hours: Annotated[
        float | None, typer.Option(min=0.0, help="CPU-hours of the whole campaign, IS-DOS included; default: no limit")
    ] = None,
    relaxations: Annotated[int | None, typer.Option(min=0, help="Most relaxations; default: no limit")] = None,
    stop_after_stable: Annotated[
        int | None, typer.Option(min=1, help="Stop when so many stable are found; default: never")
    ] = None,
    stop_after_no_discovery: Annotated[
        int | None,
        typer.Option(min=1, help="Stop when the last so many relaxations found nothing stable; default: never"),
    ] = None,
    stable_e_form: Annotated[
        float | None, typer.Option(help="Stable if E_f in eV/atom is at most this (default: 0.0, or the campaign's)")
    ] = None,
    stable_e_hull: Annotated[
        float | None, typer.Option(help="Stable if E_hull in eV/atom is at most this (default: 0.1, or the campaign's)")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Replay a campaign's decisions on known data, with no DFT: stable materials against CPU-hours.

    Example: campaign replay examples/replay.csv --policy thresholds --policy best_first:cpu_hours=12 --seeds 5
    """
