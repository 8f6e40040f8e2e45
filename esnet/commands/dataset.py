"""The commands `esnet dataset ...`: data sets on disk.

Example
-------
::

    esnet dataset from-vasp runs/ oxides --energies formation_energies.csv
    esnet dataset info oxides
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from esnet.commands.options import (
    CompositionOption,
    DatasetArgument,
    FBlockOption,
    MaxDosOption,
    MaxEnergyOption,
    NormalisationOption,
    ReferenceOption,
    filters_of,
)

if TYPE_CHECKING:
    from rich.console import Console

    from esnet.dataset.dataset import DatasetManifest
    from esnet.sources.vasp_folder import FolderReport

app = typer.Typer(help="Data sets: write one, look at one.\n\nExample: esnet dataset info oxides", no_args_is_help=True)


def print_written(out: Console, path: Path, manifest: DatasetManifest) -> None:
    """Say what was written, what the filters left out, and what is doubtful."""
    from rich.markup import escape

    from esnet.dataset.summary import dropped_line

    kinds = ", ".join(f"{count} {kind}" for kind, count in manifest.counts.items())
    lines = [
        f"wrote {path}: {manifest.n_samples} samples ({kinds}), checksum {manifest.checksum[:16]}",
        f"left out by the filters: {dropped_line(manifest.n_given, manifest.n_dropped)}",
    ]
    lines += [
        f"  {name}: {', '.join(ids[:10])}{' ...' if manifest.n_dropped[name] > 10 else ''}"
        for name, ids in manifest.dropped_ids.items()
    ]
    for line in lines:
        out.print(escape(line), highlight=False, soft_wrap=True)


@app.command()
def info(
    dataset: DatasetArgument,
    json: Annotated[bool, typer.Option("--json", help="Print JSON")] = False,
    verify: Annotated[bool, typer.Option(help="Compare the SHA-256 of every file with the manifest")] = True,
) -> None:
    """Say what a data set contains, where it comes from and what its filters left out.

    Example: esnet dataset info oxides
    """
    import json as json_module

    from rich.markup import escape
    from rich.table import Table

    from esnet.commands.console import console
    from esnet.dataset.dataset import Dataset
    from esnet.dataset.summary import dataset_summary, summary_rows

    summary = dataset_summary(Dataset.open(dataset, verify=verify))
    if json:
        typer.echo(json_module.dumps(summary, indent=1))
        return
    table = Table(title=f"data set {escape(str(dataset))}", show_header=False)
    for name, value in summary_rows(summary):
        table.add_row(name, escape(value))
    out = console()
    out.print(table)
    for warning in summary["warnings"]:
        out.print(f"[yellow]warning:[/yellow] {escape(warning)}", highlight=False, soft_wrap=True)


@app.command("from-vasp")
def from_vasp(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="Folder of VASP runs, searched with all below it")],
    path: Annotated[Path, typer.Argument(metavar="PATH", help="Directory to make")],
    energies: Annotated[
        Path | None,
        typer.Option(help="CSV or JSON with formation energies, eV/atom; default: from the elements' runs in FOLDER"),
    ] = None,
    pattern: Annotated[str, typer.Option(help="Only runs whose path inside FOLDER matches this")] = "*",
    is_pattern: Annotated[
        str | None,
        typer.Option(help="Runs whose path matches are of unrelaxed structures, e.g. '*/static/*'; default: none are"),
    ] = None,
    unconverged: Annotated[bool, typer.Option("--unconverged", help="Use runs that did not converge, too")] = False,
    strict: Annotated[bool, typer.Option("--strict", help="Stop at the first run that cannot be used")] = False,
    normalisation: NormalisationOption = "atom",
    energy_reference: ReferenceOption = "absolute",
    composition: CompositionOption = "presence",
    max_dos: MaxDosOption = 50.0,
    max_abs_formation_energy: MaxEnergyOption = 5.0,
    f_block: FBlockOption = False,
) -> None:
    """Write the DOS of VASP runs, with the formation energies of the relaxed crystals, as a data set.

    Example: esnet dataset from-vasp runs/ oxides --energies formation_energies.csv
    """
    from esnet.commands.console import console
    from esnet.dataset.dataset import DatasetManifest, DatasetWriter
    from esnet.representation.features import Representation
    from esnet.sources.vasp_folder import FolderReport, engine_of, read_vasp_folder

    representation = Representation(
        normalisation=normalisation, energy_reference=energy_reference, composition=composition
    )
    filters = filters_of(max_dos, max_abs_formation_energy, f_block)
    source = {
        "kind": "VASP runs",
        "folder": folder.resolve().name,
        "energies": energies.name if energies else None,
    }
    report = FolderReport()
    engines: set[str] = set()
    out = console()
    try:
        with DatasetWriter(path, representation=representation, filters=filters, source=source) as writer:
            for sample in read_vasp_folder(
                folder,
                representation=representation,
                energies=energies,
                pattern=pattern,
                is_pattern=is_pattern,
                unconverged=unconverged,
                strict=strict,
                report=report,
            ):
                writer.add(sample)
                engines.add(engine_of(sample))
            # of two engines a model would know neither
            engine = engines.pop() if len(engines) == 1 else None
            writer.source |= {"engine": engine, "runs": report.n_runs, "not_used": len(report.problems)}
    finally:
        # where nothing could be used at all, this says why
        _print_folder(out, report)
    print_written(out, path, DatasetManifest.read(path))


def _print_folder(out: Console, report: FolderReport) -> None:
    from rich.markup import escape

    if not report.n_runs:
        return
    out.print(f"{report.n_runs} runs, {report.n_samples} of them gave a sample", highlight=False)
    for element, (energy, file) in report.references.items():
        out.print(f"  reference {element}: {energy:.4f} eV/atom ({escape(file)})", highlight=False, soft_wrap=True)
    for which, why in report.problems:
        out.print(f"  [yellow]left out[/yellow] {escape(which)}: {escape(why)}", highlight=False, soft_wrap=True)
