"""The commands `campaign export FILE` and `campaign import FILE`: a campaign continues on another machine."""

from pathlib import Path

from fireworks import LaunchPad
from rich.console import Console
from rich.progress import Progress

from campaign import __version__
from campaign.attempts.outputs import uuids_of_try
from campaign.commands.connection import connect, open_for_writing
from campaign.commands.shared_database import shared_worker
from campaign.config.wording import format_count
from campaign.recovery.removed_workflows import removed_workflows, resubmit
from campaign.scheduling.advance import advance
from campaign.store.campaigns import Campaign, OpenCampaign
from campaign.store.collections import CampaignStore
from campaign.store.fireworks import initialise_launchpad
from campaign.store.states import STAGES
from campaign.store.transfer.archive import Archive, write_archive
from campaign.store.transfer.manifest import ArchiveError
from campaign.store.transfer.reading import Exported, write_parts
from campaign.store.transfer.writing import (
    Standing,
    begin_import,
    campaign_in,
    check_documents,
    complete_import,
    is_from_file,
    standing_of,
    write_documents,
)
from esnet.commands.console import console, print_labelled, print_plain
from esnet.files.errors import UserError
from esnet.files.output_folder import OutputPlaceError
from launchers.database.job_store import open_job_store
from launchers.database.settings import DatabaseSettings, find_launchpad_file

#: They affect no results and are specific to a machine.
_SITE_SETTINGS = ("vasp_command", "vasp_gamma_command", "scratch")


class ExportFileError(UserError, ValueError):
    """The file that an export would replace is not an export of the same campaign."""


def export_campaign(name: str, file: Path, *, launchpad: Path | None) -> None:
    """Write a whole campaign into one file, and report its content.

    Raises
    ------
    ExportFileError
        If the file exists and is not an export of this campaign.
    """
    campaign = Campaign.read(CampaignStore(connect(launchpad).db), name)
    _check_place(file, name)
    seen = write_campaign_file(campaign, file)
    out = console()
    with Archive(file) as archive:
        print_plain(out, f"campaign {name}: {_described(archive)} in {file} ({_size(file.stat().st_size)})")
    if seen.interrupted:
        print_labelled(
            out,
            f"{format_count(seen.interrupted, 'calculation')} queued, {format_count(seen.running, 'attempt')} running:",
            "in the file they count as not started, and will be computed where it is imported. If you move the "
            "campaign, stop it here; otherwise both machines compute the same",
        )
    for checksum in seen.missing:
        print_labelled(out, f"model {checksum}:", "it is not in the database, and therefore not in the file")
    print_plain(out, f"continue it in another database with `campaign import {file}`")


def write_campaign_file(campaign: Campaign, file: Path) -> Exported:
    """Write a whole campaign into one file, which gets its name once complete."""
    try:
        with write_archive(file) as archive:
            return write_parts(campaign, archive, _job_uuids, program=__version__)
    except OSError as error:
        raise OutputPlaceError(
            f"{file} cannot be written: {error.strerror or error}; name a file in a writable folder with enough space"
        ) from error


def _job_uuids(document_id: str, stage: str, number: int) -> list[str]:
    return list(uuids_of_try(document_id, STAGES[stage], number).values())


def _check_place(file: Path, name: str) -> None:
    if not file.exists():
        return
    try:
        with Archive(file) as archive:
            found = archive.manifest.campaign
    except (ArchiveError, OSError) as error:
        raise ExportFileError(f"{file} already exists and is not an exported campaign; name another file") from error
    if found != name:
        raise ExportFileError(f"{file} already exists and contains the campaign {found!r}; name another file")


def import_(*, file: Path, launchpad: Path | None, dry_run: bool) -> None:
    """Import a campaign from a file into this database, and submit all work that is due."""
    out = console()
    with Archive(file) as archive:
        manifest = archive.manifest
        print_plain(
            out,
            f"campaign {manifest.campaign} ({manifest.state}), exported {manifest.written} by esnet-campaign "
            f"{manifest.program}: {_described(archive)}, {_size(manifest.size)}",
        )
        archive.check()
        check_documents(archive)
        _say_site_settings(archive, out)
        store, connection = open_for_writing(launchpad, dry_run=dry_run)
        if dry_run:
            standing = standing_of(store, archive)
            counts = ((name, part.documents) for name, part in manifest.parts.items() if part.documents)
            print_plain(out, *(f"  {name}: {number}" for name, number in counts), _would(standing))
            return
        initialise_launchpad(connection)
        standing = begin_import(
            store,
            connection,
            archive,
            worker=lambda: shared_worker(manifest.campaign, connection, find_launchpad_file(launchpad), out),
        )
        import_documents(store, connection, archive, standing)
    if standing.what == "imported":
        print_plain(out, f"campaign {manifest.campaign} was already imported from this file; nothing was changed")
        return
    print_plain(
        out,
        f"campaign {manifest.campaign} is imported: {manifest.documents} documents",
        f"run it with `campaign run {manifest.campaign}` or `rlaunch rapidfire`, on a cluster with `campaign cluster "
        f"run`; watch it with `campaign status {manifest.campaign}`",
    )


def _say_site_settings(archive: Archive, out: Console) -> None:
    """Print the settings of the campaign's original machine, including command lines that will be run here."""
    dft = campaign_in(archive)["spec"].get("dft") or {}
    found = [f"dft.{key}: {dft[key]}" for key in _SITE_SETTINGS if dft.get(key) is not None]
    if found:
        print_labelled(out, "settings of the machine it comes from:", "; ".join(found))


def import_documents(store: CampaignStore, launchpad: LaunchPad, archive: Archive, standing: Standing) -> None:
    """Complete an interrupted import, and submit all work that is due."""
    name = archive.manifest.campaign
    if standing.what == "begun" and standing.shift is not None:
        with open_job_store(DatabaseSettings.from_launchpad(launchpad)):
            pass  # creates the indexes used to find outputs
        with Progress(console=console(), transient=True) as progress:
            task = progress.add_task(f"importing {name}", total=archive.manifest.documents)

            def on_part(collection: str, number: int) -> None:
                progress.update(task, advance=number, description=f"importing {collection}")

            write_documents(store, archive, shift=standing.shift, on_part=on_part)
        complete_import(store, archive)
    campaign = OpenCampaign.open(store, launchpad, name)
    # steps submitted there have no firework here; those that a person removed here since are left alone
    lost = [each for each in removed_workflows(campaign) if each.step is not None and each.how == "deleted"]
    resubmit(campaign, [each for each in lost if is_from_file(campaign.document, archive, each.fw_ids[0])])
    advance(campaign)


def _would(standing: Standing) -> str:
    return {
        "absent": "would be imported; nothing of it is in this database yet",
        "begun": "its import was interrupted, and would be completed",
        "imported": "it was already imported from this file: nothing would change",
    }[standing.what]


def _described(archive: Archive) -> str:
    counts = {name: part.documents for name, part in archive.manifest.parts.items()}
    shown = ("candidates", "references", "steps", "attempts", "features", "outputs", "models")
    return ", ".join(f"{counts[name]} {name}" for name in shown)


def _size(number: float) -> str:
    for unit in ("bytes", "kB", "MB"):
        if number < 1000:
            return f"{number:.0f} {unit}"
        number /= 1000
    return f"{number:.1f} GB"
