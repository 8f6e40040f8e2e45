"""The command `esnet fetch-mp`: a data set out of the Materials Project.

Example
-------
::

    export MP_API_KEY=...
    esnet fetch-mp --elements Pd --num-elements 2 --max-materials 200 --output palladium
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from esnet.commands.dataset import print_written
from esnet.commands.options import (
    CompositionOption,
    FBlockOption,
    MaxDosOption,
    MaxEnergyOption,
    NormalisationOption,
    ReferenceOption,
    filters_of,
)


def command(
    output: Annotated[Path, typer.Option(help="Directory of the data set; must not exist")],
    elements: Annotated[
        str | None, typer.Option(help="Elements that all must be in a material, Al,Pd; default: any")
    ] = None,
    chemsys: Annotated[str | None, typer.Option(help="Chemical systems, Al-Pd,Al-Ni; default: any")] = None,
    num_elements: Annotated[
        str | None, typer.Option(help="Number of elements, or a range, 2 or 2-3; default: any")
    ] = None,
    max_energy_above_hull: Annotated[
        float | None, typer.Option(help="Largest energy above the hull, eV/atom; default: any")
    ] = None,
    max_materials: Annotated[int | None, typer.Option(help="The first so many, by id; default: all")] = None,
    normalisation: NormalisationOption = "atom",
    energy_reference: ReferenceOption = "absolute",
    composition: CompositionOption = "presence",
    max_dos: MaxDosOption = 50.0,
    max_abs_formation_energy: MaxEnergyOption = 5.0,
    f_block: FBlockOption = False,
    cache: Annotated[Path | None, typer.Option(help="Folder of what was fetched  [default: OUTPUT.download]")] = None,
    endpoint: Annotated[
        str | None, typer.Option(help="Address of the REST interface, for a mirror; default: mp-api's")
    ] = None,
) -> None:
    """Fetch relaxed materials, their DOS and formation energies from the Materials Project (needs mp-api, extra mp).

    The key of your account is read from the environment variable MP_API_KEY. The same command goes on where an earlier
    one ended, however it ended.

    Example: esnet fetch-mp --elements Pd --num-elements 2 --max-materials 200 --output palladium
    """
    from rich.markup import escape
    from rich.progress import MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from esnet.commands.console import console
    from esnet.representation.features import Representation
    from esnet.sources.materials_project import MaterialsQuery, fetch

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
            cache=cache,
            endpoint=endpoint,
            progress=lambda done, total: bar.update(task, completed=done, total=total),
        )
    out = console()
    counts = ", ".join(f"{count} {status}" for status, count in report.counts.items())
    out.print(f"{report.n_materials} materials: {counts}; {report.n_fetched} fetched now", highlight=False)
    for identifier, reason in list(report.unusable.items())[:10]:
        out.print(f"  {identifier}: {escape(reason)}", highlight=False, soft_wrap=True)
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
