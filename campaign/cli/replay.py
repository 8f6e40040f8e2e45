"""The command `campaign replay`: what policies would have found, and for how many CPU-hours, on known data."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from campaign.cli.database import LaunchpadOption, connect
from campaign.store.campaigns import Campaign

if TYPE_CHECKING:
    from campaign.policies.base import Policy
    from campaign.replay.comparison import Comparison
    from campaign.replay.data import ReplayData
    from campaign.spec.sections import BudgetSection, StableSection

_POLICY_HELP = (
    "A policy with its settings as in a campaign file, e.g. probability:p=0.3 or budget:cpu_hours=12; "
    "may be given several times; default: thresholds"
)


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
    json: Annotated[bool, typer.Option("--json", help="Print JSON")] = False,
) -> None:
    """Replay a campaign's decisions on known data, with no DFT: stable materials against CPU-hours.

    Example: campaign replay examples/replay.csv --policy thresholds --policy budget:cpu_hours=12 --seeds 5
    """
    import json as json_module

    from campaign.replay.comparison import compare
    from campaign.views.replay import write_comparison
    from esnet.commands.console import console
    from esnet.files.output_folder import refuse_existing_output

    if (dataset is None) == (campaign is None):
        raise typer.BadParameter("give either DATASET (a file or a directory) or --campaign NAME")
    if output is not None:
        # before minutes of work
        refuse_existing_output(output)
    policies = _policies(policy or ["thresholds"])
    limits = {
        "cpu_hours": cpu_hours,
        "relaxations": relaxations,
        "stop_after_stable": stop_after_stable,
        "stop_after_no_discovery": stop_after_no_discovery,
    }
    budget = _budget(limits)
    data = _data(
        dataset, campaign or "", launchpad, structures=structures, references=references, model=model, part=part
    )
    stable = _stable(data, stable_e_form, stable_e_hull)
    comparison = compare(data, policies, budget=budget, stable=stable, batch_size=batch_size, seeds=range(1, seeds + 1))
    if json:
        typer.echo(json_module.dumps(comparison.to_dict(), indent=1, allow_nan=False))
    else:
        _print(comparison)
    if output is not None:
        write_comparison(comparison, output)
        out = console(stderr=json)
        out.print(f"totals and curves: {output}", markup=False, highlight=False, soft_wrap=True)


def _policies(texts: Sequence[str]) -> dict[str, Policy]:
    from campaign.cli.policy import parse_policy

    found = {}
    for text in texts:
        if text in found:
            raise typer.BadParameter(f"--policy {text} stands twice")
        found[text] = parse_policy(text)
    return found


def _budget(limits: dict[str, Any]) -> BudgetSection:
    from campaign.spec.sections import BudgetSection

    hours = limits["cpu_hours"]
    if hours is not None and not math.isfinite(hours):
        raise typer.BadParameter(f"--cpu-hours: found {hours}; right: a finite number")
    return BudgetSection(**limits)


def _stable(data: ReplayData, e_form: float | None, e_hull: float | None) -> StableSection:
    from campaign.spec.sections import StableSection

    own = data.stable or StableSection()
    for name, value in (("--stable-e-form", e_form), ("--stable-e-hull", e_hull)):
        if value is not None and not -20.0 <= value <= 20.0:
            raise typer.BadParameter(f"{name}: found {value:g}; right: a number between -20 and 20 (eV/atom)")
    return StableSection(
        max_formation_energy=own.max_formation_energy if e_form is None else e_form,
        max_hull_energy=own.max_hull_energy if e_hull is None else e_hull,
    )


def _data(dataset: Path | None, campaign: str, launchpad: Path | None, **options: Any) -> ReplayData:
    if dataset is not None:
        from campaign.replay.read import read_replay_data

        return read_replay_data(dataset, **options)
    if wrong := [name for name in ("structures", "references", "model") if options[name] is not None]:
        raise typer.BadParameter(f"--{wrong[0]} does not go with --campaign, which has all that")
    from campaign.replay.campaign import read_replay_campaign
    from campaign.store.collections import CampaignStore

    return read_replay_campaign(Campaign.read(CampaignStore(connect(launchpad).db), campaign))


def _print(comparison: Comparison) -> None:
    from rich.markup import escape

    from campaign.views.replay import replay_table
    from esnet.commands.console import console

    out = console()
    out.print(replay_table(comparison))
    out.print(
        "\nCPU-h: IS-DOS included (random and oracle need none). random there, oracle there: stable materials that "
        "they have found for the same CPU-h. success ratio, discoverability: of the promoted, without the audit "
        "sample. saving: against relaxing everything",
        highlight=False,
        soft_wrap=True,
    )
    stopped = {
        f"{label}: {found.stopped}" for label, several in comparison.policies.items() for found in several
        if found.stopped
    }  # fmt: skip
    for text in sorted(stopped):
        out.print(f"stopped: {text}", markup=False, highlight=False, soft_wrap=True)
    for note in comparison.data.notes:
        out.print(f"[yellow]note:[/yellow] {escape(note)}", highlight=False, soft_wrap=True)
