"""Train networks one after the other in a working folder and combine them into a bundle.

A killed process loses at most one epoch. The working folder contains

* ``training.json``: marks the folder as a working folder of a training;
* ``lock``: held by the process that is training in it;
* ``member-01/checkpoints/``: state after each epoch, until the member is trained;
* ``member-01/logs/``: ``epochs.csv`` and ``tensorboard/``;
* ``member-01/bundle/``: the trained member.
"""

import json
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

from esnet.bundle.bundle import Bundle, refuse_existing
from esnet.bundle.files import default_work
from esnet.bundle.info import BundleInfo
from esnet.dataset.dataset import Dataset
from esnet.dataset.splits import Split
from esnet.files.atomic import write_whole
from esnet.files.folder_lock import exclusive
from esnet.training.checkpoints import differences
from esnet.training.ensemble import assemble_bundle
from esnet.training.split_selection import Kinds
from esnet.training.train import TrainingError, TrainingSettings, fingerprint, train_on

MARKER = "training.json"
_FORMAT = {"format": "esnet-training-work", "format_version": 1}
_BUNDLE, _CHECKPOINTS, _LOGS = "bundle", "checkpoints", "logs"

MemberProgress = Callable[[int, int, Mapping[str, float]], None]
"""Called after each epoch with the member (from 1), the epoch (from 1) and the values passed to `Progress`."""


def train_bundle(
    path: Path,
    *,
    dataset: Dataset,
    split: Split,
    settings: TrainingSettings,
    kinds: Kinds = "both",
    members: int = 1,
    work: Path | None = None,
    fresh: bool = False,
    checkpoint_every: int = 1,
    devices: Sequence[str] | None = None,
    progress: MemberProgress | None = None,
) -> Bundle:
    """Train one network or an ensemble and make a bundle of it, resuming an interrupted training.

    Parameters
    ----------
    path
        The bundle to create.
    dataset, split, kinds, checkpoint_every, devices
        As in `esnet.training.train.train_on`; all members use the same split.
    settings
        Settings of the first member; each further member adds 1 to the seed.
    members
        Number of networks.
    work
        Working folder; ``PATH.work`` if None. Trained members are kept, so that more can be added later.
    fresh
        Clear the working folder instead of resuming.
    progress
        Called after each epoch.

    Raises
    ------
    BundleExistsError
        If ``path`` exists; nothing is trained then.
    TrainingError
        If ``work`` is another kind of folder, is in use by another process, or holds a training of other data, split,
        kinds or settings, or if the training fails.
    """
    refuse_existing(path)
    if members < 1:
        raise TrainingError(f"members={members}: must be a whole number above 0")
    folder = default_work(path) if work is None else work
    with _opened(folder):
        if fresh:
            for member in folder.glob("member-*"):
                shutil.rmtree(member)
        wanted = [replace(settings, seed=settings.seed + number) for number in range(members)]
        # detect members that cannot be resumed before training anything
        for number, member_settings in enumerate(wanted, start=1):
            _check_member(
                member_folder(folder, number), fingerprint(dataset, split, settings=member_settings, kinds=kinds)
            )
        for number, member_settings in enumerate(wanted, start=1):
            member = member_folder(folder, number)
            if not (member / _BUNDLE).exists():
                train_on(
                    dataset,
                    split,
                    settings=member_settings,
                    kinds=kinds,
                    checkpoints=member / _CHECKPOINTS,
                    checkpoint_every=checkpoint_every,
                    logs=member / _LOGS,
                    devices=devices,
                    progress=progress and partial(progress, number),
                ).save(member / _BUNDLE)
            # four times the size of the network, and no longer needed
            shutil.rmtree(member / _CHECKPOINTS, ignore_errors=True)

        trained = [member_folder(folder, number) / _BUNDLE for number in range(1, members + 1)]
        return assemble_bundle(path, members=trained, dataset=dataset, split=split, kinds=kinds)


def member_folder(work: Path, number: int) -> Path:
    """Return the folder of a member, counted from 1."""
    return work / f"member-{number:02d}"


def _check_member(folder: Path, made_of: Mapping[str, object]) -> None:
    """Refuse a member that was trained with other data or settings."""
    if not (folder / _BUNDLE).exists():
        return
    record = BundleInfo.read(folder / _BUNDLE, residual=True).record
    found = {
        "data": record.data_checksum,
        "split": record.split,
        "kinds": record.kinds,
        # records of earlier versions lack settings added since, which had their default values
        "settings": TrainingSettings.from_dict(record.settings).to_dict(),
    }
    differing = differences(found, made_of)
    if differing:
        raise TrainingError(
            f"{folder / _BUNDLE} is of another training: {'; '.join(differing)}. Name another working folder, or "
            "start afresh"
        )


@contextmanager
def _opened(folder: Path) -> Iterator[None]:
    """Create or open the working folder, locked for this process."""
    marker = folder / MARKER
    if folder.is_dir() and not marker.is_file() and any(entry.name != "lock" for entry in folder.iterdir()):
        raise TrainingError(f"{folder} is not a working folder of a training (it has no {MARKER}): name another one")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except FileExistsError as error:
        raise TrainingError(f"{folder} is a file: name a working folder") from error
    busy = TrainingError(f"another process is training in {folder}: wait for it, or name another folder")
    with exclusive(folder / "lock", busy=busy):
        if not marker.is_file():
            write_whole(marker, json.dumps(_FORMAT) + "\n")
        yield
