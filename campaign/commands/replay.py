"""The command `campaign replay`: what policies would have found on known data, and at what cost in CPU-hours."""

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import typer

from campaign.commands.connection import read_campaign
from campaign.policies.base import Policy
from campaign.replay.campaign import read_replay_campaign
from campaign.replay.cascade import with_cascade
from campaign.replay.comparison import Comparison, compare
from campaign.replay.data import ReplayData, prediction_error
from campaign.replay.read import read_replay_data
from campaign.spec.policy_text import parse_policy
from campaign.spec.sections.budget import BudgetSection
from campaign.spec.sections.stable import StableSection
from campaign.views.replay import replay_table, scorers_table, write_comparison
from esnet.commands.console import console, print_labelled, print_plain
from esnet.files.output_folder import refuse_existing_output

_LEGEND = (
    "\nCPU-h: including IS-DOS (random and oracle need none). random there, oracle there: stable materials that these "
    "find for the same CPU-h. success ratio, discoverability: of the promoted candidates, without the audit sample. "
    "saving: compared with relaxing everything"
)
_SCORERS_LEGEND = (
    "\nCPU-h: the cost of the predictions, including IS-DOS, and of all relaxations (random and oracle need no "
    "prediction, and count up to the last stable material found). recall: fraction of the stable materials found. "
    "C_eff: CPU-s per candidate divided by recall; then divided by that of the oracle at the same recall"
)


def replay(
    *,
    dataset: Path | None,
    policy: list[str] | None,
    seeds: int,
    output: Path | None,
    structures: Path | None,
    references: Path | None,
    model: str | None,
    part: Literal["test", "all"],
    leave_out: list[str] | None,
    cascade: list[str] | None,
    campaign: str | None,
    launchpad: Path | None,
    batch_size: int,
    cpu_hours: float | None,
    relaxations: int | None,
    stop_after_stable: int | None,
    stop_after_no_discovery: int | None,
    stable_e_form: float | None,
    stable_e_hull: float | None,
    as_json: bool,
) -> None:
    """Replay a campaign's decisions on known data, without DFT: stable materials found against CPU-hours."""
    if (dataset is None) == (campaign is None):
        raise typer.BadParameter("give either DATASET (a file or a directory) or --campaign NAME")
    if output is not None:
        # before minutes of computing
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
        dataset,
        campaign or "",
        launchpad,
        structures=structures,
        references=references,
        model=model,
        part=part,
        leave_out=leave_out or (),
    )
    stable = _stable(data, stable_e_form, stable_e_hull)
    for text in cascade or ():
        data = with_cascade(data, text)
    comparison = compare(data, policies, budget=budget, stable=stable, batch_size=batch_size, seeds=range(1, seeds + 1))
    if as_json:
        typer.echo(json.dumps(comparison.to_dict(), indent=1, allow_nan=False))
    else:
        _print(comparison)
    if output is not None:
        write_comparison(comparison, output)
        print_plain(console(stderr=as_json), f"totals and curves: {output}")


def _policies(texts: Sequence[str]) -> dict[str, Policy]:
    found = {}
    for text in texts:
        if text in found:
            raise typer.BadParameter(f"--policy {text} is given twice")
        found[text] = parse_policy(text)
    return found


def _budget(limits: dict[str, Any]) -> BudgetSection:
    hours = limits["cpu_hours"]
    if hours is not None and not math.isfinite(hours):
        raise typer.BadParameter(f"--cpu-hours: found {hours}; right: a finite number")
    return BudgetSection(**limits)


def _stable(data: ReplayData, e_form: float | None, e_hull: float | None) -> StableSection:
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
        return read_replay_data(dataset, **options)
    if wrong := [name for name in ("structures", "references", "model", "leave_out") if options[name]]:
        raise typer.BadParameter(
            f"--{wrong[0].replace('_', '-')} cannot be combined with --campaign, which provides it"
        )

    return read_replay_campaign(read_campaign(launchpad, campaign))


def _print(comparison: Comparison) -> None:
    out = console()
    if comparison.data.scorers:
        out.print(scorers_table(comparison))
        out.print(_SCORERS_LEGEND, highlight=False, soft_wrap=True)
    else:
        out.print(replay_table(comparison))
        out.print(_LEGEND, highlight=False, soft_wrap=True)
    errors = {scorer: prediction_error(known) for scorer, known in comparison.data.by_scorer().items()}
    for scorer, error in errors.items():
        found = "nothing to compare" if error.mae is None else f"MAE {error.mae:.3f} eV/atom on {error.n} candidates"
        print_plain(out, f"predictions{f' of {scorer}' if scorer else ''}: e_form_ml against e_form: {found}")
    stopped = {
        f"{label}: {found.stopped}" for label, several in comparison.policies.items() for found in several
        if found.stopped
    }  # fmt: skip
    print_plain(out, *(f"stopped: {text}" for text in sorted(stopped)))
    for note in comparison.data.notes:
        print_labelled(out, "note:", note)
