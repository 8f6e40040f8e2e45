"""The command `esnet similarity`."""

from pathlib import Path

from rich.table import Table

from esnet.commands.console import console, print_labelled
from esnet.dataset.dataset import Dataset
from esnet.files.output_folder import new_output_folder, refuse_existing_output
from esnet.similarity.files import overall_cells, write_similarity
from esnet.similarity.similarity import compare_dos


def similarity(*, dataset: Path, output: Path | None, seed: int) -> None:
    """Compare the DOS of unrelaxed and relaxed structures with random pairs, as in Figure 1b of the paper."""
    folder = output or Path(f"{dataset}.similarity")
    refuse_existing_output(folder)
    with console(stderr=True).status("comparing densities of states"):
        found = compare_dos(Dataset.open(dataset), seed=seed)
        with new_output_folder(folder) as temporary:
            write_similarity(found, temporary)
    out = console()
    table = Table("property", "initial and relaxed", "two random", "ratio", title="MAE, fractions of the range")
    for cells in overall_cells(found):
        table.add_row(*cells)
    out.print(table)
    for note in found.about["notes"]:
        print_labelled(out, "note:", note)
    out.print(f"{found.about['pairs']} pairs each; wrote {folder}", highlight=False, soft_wrap=True)
