"""The commands `campaign references ...`: files of entries, and the reference sets of a database."""

from pathlib import Path

import typer

from campaign.candidates.elements import check_element
from campaign.commands.connection import connect
from campaign.config.wording import format_count
from campaign.hull.entries_file import read_entries_file
from campaign.references.entries_export import export_set, fetch_entries
from campaign.store.collections import CampaignStore
from campaign.views.reference_sets import find_set, format_entries_file, format_reference_set, sets_table
from esnet.commands.console import console


def fetch_mp(*, file: Path, elements: str, max_elements: int | None, endpoint: str | None) -> None:
    """Fetch the known phases of given elements from the Materials Project (requires mp-api, extra mp)."""
    symbols = [word.strip() for word in elements.split(",") if word.strip()]
    if not symbols:
        raise typer.BadParameter("no element given; right: symbols such as Al,Cu,Pd", param_hint="--elements")
    number = fetch_entries(file, elements=symbols, max_elements=max_elements, endpoint=endpoint)
    console().print(
        f"{format_count(number, 'entry', 'entries')} in {file}; see `campaign references check {file}`", highlight=False
    )


def check(*, file: Path, engine: str | None, elements: str | None) -> None:
    """Summarise a file of entries, or list all its problems."""
    chosen = None
    if elements:
        chosen = [check_element(word.strip()) for word in elements.split(",") if word.strip()]
    found = read_entries_file(file, engine=engine, elements=chosen)
    out = console()
    out.print(f"{file}: no problems", style="green", soft_wrap=True)
    for line in format_entries_file(found):
        out.print(f"  {line}", highlight=False, soft_wrap=True)


def list_sets(*, launchpad: Path | None) -> None:
    """List the reference sets in the database."""
    console().print(sets_table(CampaignStore(connect(launchpad).db)))


def show(*, checksum: str, launchpad: Path | None, output: Path | None) -> None:
    """Verify and describe a reference set; optionally write it as a file that another campaign can use."""
    store = CampaignStore(connect(launchpad).db)
    found = find_set(store, checksum)
    out = console()
    for line in format_reference_set(store, found):
        out.print(line, highlight=False, soft_wrap=True)
    if output is not None:
        export_set(found, output)
        out.print(f"written to {output}", highlight=False, soft_wrap=True)
