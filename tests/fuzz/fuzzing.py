"""Damage files at random and see how each door takes them."""

import random
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from doors import DOORS
from guarded import Outcome, call_guarded
from vasp_files import FakeRun, write_vasprun

from campaign.commands.errors import is_user_error


def fuzz(door: str, seeds: Sequence[int], *, keep: Path | None = None) -> Iterator[tuple[int, Outcome]]:
    """Yield how each damaged file of a door was taken, by its seed.

    Parameters
    ----------
    keep
        Folder for the files that were taken wrongly; None: they are removed.
    """
    with tempfile.TemporaryDirectory() as temporary:
        write_vasprun(Path(temporary) / "whole.xml", FakeRun())
        for seed in seeds:
            folder = Path(temporary) / str(seed)
            folder.mkdir()
            path = DOORS[door].damaged(folder, random.Random(f"{door} {seed}"))
            outcome = call_guarded(DOORS[door].read, path, is_user_error)
            if keep is not None and outcome.is_wrong:
                shutil.copytree(folder, keep / f"{door}-{seed}", dirs_exist_ok=True)
            shutil.rmtree(folder)
            yield seed, outcome
