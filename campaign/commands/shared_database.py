"""Campaigns in a FireWorks database shared with others: warn, and keep them from others' workers."""

from pathlib import Path

from fireworks import LaunchPad
from rich.console import Console

from campaign.config.yaml_file import read_yaml
from campaign.store.campaigns import campaign_exists
from campaign.store.collections import CampaignStore
from campaign.store.fireworks import foreign_work
from esnet.commands.console import print_labelled
from launchers.workers.project_worker import project_worker_name


def worker_for(file: Path, name: str, launchpad: LaunchPad, launchpad_file: Path, console: Console) -> str | None:
    """Return the name of the only FireWorker that may take a campaign's fireworks; None for any.

    It is ``_fworker`` of the campaign file. Without that, if others have fireworks in the database, it is the name in
    `my_fworker.yaml` next to the launchpad file: others' workers, which may lack this package, would fizzle each
    firework that they take.
    """
    content, _ = read_yaml(file)
    if (asked := content["spec"].get("_fworker")) is not None:
        return str(asked)
    return shared_worker(name, launchpad, launchpad_file, console)


def shared_worker(name: str, launchpad: LaunchPad, launchpad_file: Path, console: Console) -> str | None:
    """Return the name of the FireWorker for a campaign whose file names none, see `worker_for`."""
    foreign = foreign_work(launchpad)
    if foreign is None or campaign_exists(CampaignStore(launchpad.db), name):
        return None
    warning = f"it also contains {foreign}. Preferably use a separate database (`name` in {launchpad_file.name})"
    # files in FireWorks' own folder apply to all of the user's work with FireWorks
    is_global = launchpad_file.parent == Path.home() / ".fireworks"
    folder = Path.cwd() if is_global else launchpad_file.parent
    try:
        worker, path, written = project_worker_name(folder)
    except OSError as error:
        warning += (
            f". {error.filename} cannot be written ({error.strerror}), so other workers may take the campaign's "
            "fireworks: name your own workers in the campaign file, `_fworker: NAME` in its spec"
        )
        print_labelled(console, "a shared database:", warning)
        return None
    wrote = f"{path}, just written" if written else f"{path}"
    warning += (
        f". To keep other workers from taking them, its fireworks are reserved for workers named {worker!r} ({wrote}): "
        "`rlaunch` and `qlaunch` take them if started in that folder, or with `-w` and such a file; `campaign run` "
        "and `campaign cluster run` always take them"
    )
    print_labelled(console, "a shared database:", warning)
    return worker
