"""The command `campaign export`: a whole campaign in one file, or its crystals and energies for other programs."""

from pathlib import Path

import typer

from campaign.commands.connection import read_campaign
from campaign.commands.lifecycle.transfer import export_campaign
from campaign.config.wording import format_count
from campaign.references.entries_export import refuse_entries_file
from campaign.views.export.entries import write_entries
from campaign.views.export.selection import Which
from campaign.views.export.structures import FileFormat, write_structures
from esnet.commands.console import console, print_plain
from esnet.files.output_folder import refuse_existing_output


def export(
    *,
    name: str,
    file: Path | None,
    structures: Path | None,
    form: FileFormat,
    unrelaxed: bool,
    entries: Path | None,
    which: Which | None,
    launchpad: Path | None,
) -> None:
    """Write a whole campaign into one file, its crystals as files, or its energies as pymatgen entries."""
    if file is None and structures is None and entries is None:
        raise typer.BadParameter("nothing to write; right: FILE, --structures DIR, --entries FILE, or several of them")
    if entries is not None and which == "all":
        raise typer.BadParameter(
            "entries need energies, which only relaxed candidates have; right: stable or relaxed", param_hint="--which"
        )
    if structures is not None:
        refuse_existing_output(structures)
    if entries is not None:
        refuse_entries_file(entries)
    if file is not None:
        export_campaign(name, file, launchpad=launchpad)
    if structures is None and entries is None:
        return
    campaign = read_campaign(launchpad, name)
    out = console()
    if structures is not None:
        number = write_structures(campaign, structures, form=form, which=which or "stable", unrelaxed=unrelaxed)
        print_plain(out, f"{format_count(number, 'crystal')} in {structures}, described in {structures / 'index.csv'}")
    if entries is not None:
        number = write_entries(campaign, entries, which=which or "relaxed")
        print_plain(
            out, f"{format_count(number, 'entry', 'entries')} in {entries}, references and candidates (data.role)"
        )
