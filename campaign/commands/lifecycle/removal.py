"""The commands `campaign archive` and `campaign delete`."""

from pathlib import Path

from campaign.commands.confirm import confirm
from campaign.commands.connection import open_for_writing
from campaign.config.wording import format_count
from campaign.recovery.archive import archive as archive_campaign
from campaign.recovery.at_work import refuse_at_work
from campaign.recovery.deletion import delete_campaign
from campaign.scheduling.stop import show_again
from campaign.store.campaigns import OpenCampaign
from campaign.store.lifecycle.deletion import count_for_deletion, read_for_deletion
from campaign.store.states import CampaignState
from esnet.commands.console import console, print_labelled, print_plain


def archive(*, name: str, undo: bool, launchpad: Path | None) -> None:
    """Hide a campaign from lists, and its fireworks from workers. Nothing is lost; results can still be read."""
    campaign = OpenCampaign.open(*open_for_writing(launchpad), name)
    out = console()
    if undo:
        shown, number = show_again(campaign)
        if not shown and not number:
            print_plain(out, f"campaign {name} is not archived")
            return
        back = f"; {format_count(number, 'firework')} returned to the queue" if number else ""
        print_plain(out, f"campaign {name} is listed again{back}")
        return
    done, number = archive_campaign(campaign)
    waited = f", with {format_count(number, 'waiting firework')}" if number else ""
    print_plain(out, f"campaign {name} is {'' if done else 'already '}archived{waited}: `campaign list --all` shows it")
    print_plain(out, f"`campaign archive {name} --undo` restores it")


def delete(*, name: str, outputs: bool, features: bool, files: bool, yes: bool, launchpad: Path | None) -> None:
    """Permanently remove a campaign: fireworks, candidates, results, ledger, outputs, features. Its name can
    be reused.
    """
    store, connection = open_for_writing(launchpad)
    found = read_for_deletion(store, name)
    out = console()
    if not yes:
        refuse_at_work(connection, name, to="deleted")  # before any confirmation
        counts = ", ".join(f"{number} {what}" for what, number in count_for_deletion(store, name).items() if number)
        begun = " (whose deletion was interrupted)" if found["state"] == CampaignState.DELETING else ""
        chosen = {"outputs": outputs, "features": features, **(found.get("deletion") or {})}
        kept = [what for what, key in (("outputs", "outputs"), ("stored DOS", "features")) if not chosen[key]]
        stays = f"; {' and '.join(kept)} are kept" if kept else ""
        print_plain(
            out, f"campaign {name}{begun} has {counts or 'nothing left'}; all of it is permanently deleted{stays}"
        )
        confirm("Type the campaign's name to delete it", answer=name)
    done = delete_campaign(
        store,
        connection,
        name,
        outputs=outputs,
        features=features,
        files=files,
        on_progress=lambda what: print_plain(out, f"deleting {what}"),
    )
    deleted = ", ".join(f"{number} {what}" for what, number in done.numbers.items() if number)
    print_plain(out, f"campaign {name} deleted: {deleted or 'nothing was left'}")
    for left in done.folders_left:
        print_labelled(out, "left:", left)
