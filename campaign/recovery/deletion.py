"""Permanent deletion of a campaign; a killed deletion is completed by the next call."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from fireworks import LaunchPad

from campaign.attempts.outputs import uuids_of_try
from campaign.recovery.at_work import CampaignAtWorkError, refuse_at_work
from campaign.recovery.launch_folders import remove_launch_folders
from campaign.store.collections import CampaignStore, in_chunks
from campaign.store.lifecycle import deletion
from campaign.store.migration import migrate
from campaign.store.states import STAGES, CampaignState

_CHUNK = 1000


@dataclass
class Deleted:
    """Number deleted by kind, and the launch folders that were left, with the reason."""

    numbers: dict[str, int] = field(default_factory=dict)
    folders_left: list[str] = field(default_factory=list)


def delete_campaign(
    store: CampaignStore,
    launchpad: LaunchPad,
    name: str,
    *,
    outputs: bool,
    features: bool,
    files: bool,
    on_progress: Callable[[str], None] = lambda _: None,
) -> Deleted:
    """Delete a campaign: fireworks, candidates, references, ledger, steps, and its own models and reference sets.

    Parameters
    ----------
    outputs, features, files
        Whether its outputs in the JobStore, its stored DOS and its launch folders on this machine are deleted too.
        The first call determines this for the whole deletion. Outputs reused by another campaign are kept.
    on_progress
        Called with the name of what is deleted next.

    Raises
    ------
    UnknownCampaignError
        If there is none of that name.
    CampaignAtWorkError
        If any of its work is running; nothing is deleted then.
    """
    found = deletion.read_for_deletion(store, name)
    is_begun = found.get("state") == CampaignState.DELETING
    refuse_at_work(launchpad, name, to="deleted")
    if not is_begun:
        migrate(store, name)
    chosen = deletion.mark_deleting(store, name, outputs=outputs, features=features, files=files)
    try:
        # work taken by a worker meanwhile; anything taken later stops when it reads the campaign
        refuse_at_work(launchpad, name, to="deleted")
    except CampaignAtWorkError:
        if not is_begun:
            deletion.unmark_deleting(store, name)
        raise
    done = Deleted()
    if chosen.get("files"):
        on_progress("launch folders")
        places = deletion.launch_places(store, name)
        done.numbers["launch folders"], done.folders_left = remove_launch_folders(places, name)
    on_progress("fireworks and launches")
    done.numbers["fireworks"] = deletion.delete_fireworks(store, name)
    if chosen.get("outputs"):
        on_progress("outputs in the JobStore")
        done.numbers["outputs"] = _delete_outputs(store, name)
    if chosen.get("features"):
        on_progress("stored DOS")
        done.numbers["stored DOS"] = deletion.delete_features(store, name)
    on_progress("candidates, ledger and steps")
    done.numbers["reference sets"] = deletion.delete_reference_sets(store, found)
    done.numbers["models"] = deletion.delete_models(store, found)
    done.numbers |= deletion.delete_documents(store, name)
    deletion.delete_campaign_document(store, name)
    return done


def _delete_outputs(store: CampaignStore, name: str) -> int:
    deleted = 0
    for chunk in in_chunks(_own_outputs(store, name), _CHUNK):
        # queried each time: another campaign may have reused a calculation just before this one was marked
        kept = {uuid for each in deletion.taken_over(store, name) for uuid in _uuids(each, each.latest)}
        deleted += deletion.delete_outputs(store, [uuid for uuid in chunk if uuid not in kept])
    return deleted


def _own_outputs(store: CampaignStore, name: str) -> Iterator[str]:
    """Yield the uuids of the jobs of every try, and of those reused from deleted campaigns."""
    for each in deletion.tries_of(store, name):
        for number in range(each.latest + 1):
            yield from _uuids(each, number)
    for each in deletion.taken_over_from_deleted(store, name):
        yield from _uuids(each, each.latest)


def _uuids(tries: deletion.Tries, number: int) -> Iterable[str]:
    return uuids_of_try(tries.document, STAGES[tries.stage], number).values()
