"""The commands `esnet dataset ...`: data sets on disk."""

import json
from pathlib import Path

import typer
from rich.console import Console
from rich.table import Table

from esnet.commands.console import console, print_labelled, print_plain
from esnet.commands.settings import filters_of
from esnet.dataset.dataset import Dataset, DatasetManifest, DatasetWriter
from esnet.dataset.summary import content_warnings, dataset_summary, dropped_line, mixture_warnings, summary_rows
from esnet.representation.composition import CompositionMode
from esnet.representation.dos import EnergyReference, Normalisation
from esnet.representation.features import Representation
from esnet.sources.vasp_energies import scaling_warning
from esnet.sources.vasp_folder import read_vasp_folder
from esnet.sources.vasp_report import FolderReport
from esnet.sources.vasp_runs import engine_of


def print_written(out: Console, path: Path, manifest: DatasetManifest) -> None:
    """Report the written samples, those left out by the filters, and the warnings."""
    kinds = ", ".join(f"{count} {kind}" for kind, count in manifest.counts.items())
    lines = [
        f"wrote {path}: {manifest.n_samples} samples ({kinds}), checksum {manifest.checksum[:16]}",
        f"left out by the filters: {dropped_line(manifest.n_given, manifest.n_dropped)}",
    ]
    lines += [
        f"  {name}: {', '.join(ids[:10])}{' ...' if manifest.n_dropped[name] > 10 else ''}"
        for name, ids in manifest.dropped_ids.items()
    ]
    print_plain(out, *lines)


def info(*, dataset: Path, as_json: bool, verify: bool) -> None:
    """Describe a data set: its contents, its origin, and the samples that its filters left out."""
    summary = dataset_summary(Dataset.open(dataset, verify=verify))
    if as_json:
        typer.echo(json.dumps(summary, indent=1))
        return
    table = Table(title=f"data set {dataset}", show_header=False)
    for name, value in summary_rows(summary):
        table.add_row(name, value)
    out = console()
    out.print(table)
    for warning in summary["warnings"]:
        print_labelled(out, "warning:", warning)


def from_vasp(
    *,
    folder: Path,
    path: Path,
    energies: Path | None,
    corrections: str | None,
    pattern: str,
    is_pattern: str | None,
    unconverged: bool,
    strict: bool,
    verbose: bool,
    normalisation: Normalisation,
    energy_reference: EnergyReference,
    composition: CompositionMode,
    max_dos: float,
    max_abs_formation_energy: float,
    f_block: bool,
) -> None:
    """Write the DOS of VASP runs, with the formation energies of the relaxed crystals, as a data set."""
    if corrections is not None and energies is None:
        raise typer.BadParameter(
            f"--corrections {corrections} describes the energies of a file; without --energies, they are computed from "
            "the runs and contain no corrections"
        )
    representation = Representation(
        normalisation=normalisation, energy_reference=energy_reference, composition=composition
    )
    filters = filters_of(max_dos, max_abs_formation_energy, f_block)
    source = {"kind": "VASP runs", "folder": folder.resolve().name, "energies": energies.name if energies else None}
    source["corrections"] = corrections if energies else "none"
    report = FolderReport()
    engines: set[str] = set()
    sizes: list[float] = []
    values: list[float] = []
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
                sizes.append(sum(sample.composition.values()))
                values.append(sample.energy)
            # a model trained on two engines would fit neither
            engine = engines.pop() if len(engines) == 1 else None
            writer.source |= {"engine": engine, "runs": report.n_runs, "not_used": len(report.problems)}
    finally:
        # printed even if nothing could be used, to say why
        _print_folder(out, report, verbose)
    print_written(out, path, DatasetManifest.read(path))
    if energies is not None and corrections is None:
        text = f"{energies} does not say which corrections its energies contain; state them with --corrections"
        print_labelled(out, "warning:", text)
    if energies is not None and (scaling := scaling_warning(sizes, values)) is not None:
        print_labelled(out, "warning:", scaling)
    written = Dataset.open(path, verify=False)
    for warning in [*content_warnings(written), *mixture_warnings(written)]:
        print_labelled(out, "warning:", warning)


def _print_folder(out: Console, report: FolderReport, verbose: bool) -> None:
    if report.n_runs or report.passed_over:
        print_plain(out, *report.lines(verbose=verbose))
