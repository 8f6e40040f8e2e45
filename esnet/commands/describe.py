"""The command `esnet describe`."""

import json

import typer
from rich.markdown import Markdown
from rich.table import Table

from esnet.bundle.description import bundle_summary, error_rows, summary_rows
from esnet.bundle.info import BundleInfo
from esnet.bundle.shipped import bundle_folder
from esnet.commands.console import console


def describe(*, bundle: str, as_json: bool) -> None:
    """Describe a trained ESNet: data, split, settings, errors, uncertainty, versions, machine, model card."""
    info = BundleInfo.read(bundle_folder(bundle), residual=True)
    if as_json:
        typer.echo(json.dumps(bundle_summary(info), indent=1, allow_nan=False))
        return

    out = console()
    table = Table(title=str(info.path), title_justify="left", show_header=False)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for name, text in summary_rows(info):
        table.add_row(name, text)
    out.print(table)
    out.print(error_table(info))
    if info.card is not None:
        out.print(Markdown(info.card))


def error_table(info: BundleInfo) -> Table:
    """Return the errors by part and task."""
    more = f"; mean of {len(info.records)} networks (for the ensemble: esnet evaluate)" if len(info.records) > 1 else ""
    table = Table(title=f"errors in eV/atom{more}", title_justify="left")
    for column in ("part", "task", "samples", "MAE", "RMSE"):
        table.add_column(column, justify="left" if column in ("part", "task") else "right")
    for part, task, count, mae, rmse in error_rows(info):
        table.add_row(part, "trained on" if task == "all" else task, str(count), f"{mae:.3f}", f"{rmse:.3f}")
    return table
