"""The command `esnet fetch-mp`, which writes a data set from the Materials Project."""

from pathlib import Path

import typer
from rich.progress import MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from esnet.commands.console import console
from esnet.commands.dataset import print_written
from esnet.commands.settings import filters_of
from esnet.representation.composition import CompositionMode
from esnet.representation.dos import EnergyReference, Normalisation
from esnet.representation.features import Representation
from esnet.sources.materials_project import MaterialsQuery, fetch


def fetch_mp(
    *,
    output: Path,
    elements: str | None,
    chemsys: str | None,
    num_elements: str | None,
    max_energy_above_hull: float | None,
    max_materials: int | None,
    normalisation: Normalisation,
    energy_reference: EnergyReference,
    composition: CompositionMode,
    max_dos: float,
    max_abs_formation_energy: float,
    f_block: bool,
    corrections: str,
    cache: Path | None,
    endpoint: str | None,
) -> None:
    """Fetch relaxed materials, their DOS and formation energies from the Materials Project (needs mp-api, extra mp)."""
    query = MaterialsQuery(
        elements=_words(elements),
        chemsys=_words(chemsys),
        num_elements=_range(num_elements),
        max_energy_above_hull=max_energy_above_hull,
        max_materials=max_materials,
    )
    columns = (TextColumn("{task.description}"), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console(stderr=True), transient=True) as bar:
        task = bar.add_task("materials", total=None)
        dataset, report = fetch(
            output,
            query=query,
            representation=Representation(
                normalisation=normalisation, energy_reference=energy_reference, composition=composition
            ),
            filters=filters_of(max_dos, max_abs_formation_energy, f_block),
            corrections=corrections,
            cache=cache,
            endpoint=endpoint,
            progress=lambda done, total: bar.update(task, completed=done, total=total),
        )
    out = console()
    counts = ", ".join(f"{count} {status}" for status, count in report.counts.items())
    out.print(f"{report.n_materials} materials: {counts}; {report.n_fetched} fetched now", highlight=False)
    if report.n_with_u:
        text = f"{report.n_with_u} materials left out: computed with a Hubbard U, no energy without corrections"
        out.print(text, highlight=False)
    for identifier, reason in list(report.unusable.items())[:10]:
        out.print(f"  {identifier}: {reason}", highlight=False, soft_wrap=True)
    print_written(out, output, dataset.manifest)


def _words(text: str | None) -> tuple[str, ...] | None:
    return tuple(word.strip() for word in text.split(",") if word.strip()) if text else None


def _range(text: str | None) -> tuple[int, int] | None:
    if text is None:
        return None
    first, _, last = text.partition("-")
    try:
        return int(first), int(last or first)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is not a number or a range such as 2-3") from None
