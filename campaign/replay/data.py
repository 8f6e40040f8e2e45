"""Known data for a replay, whatever they come from: a table, an ESNet data set, or a campaign."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from esnet.files.errors import UserError

if TYPE_CHECKING:
    from campaign.replay.candidate import KnownCandidate
    from campaign.spec.sections import StableSection

DOS_CPU_S, RELAX_CPU_S = 108.506, 3107.0
"""Costs in CPU-s where the data do not say them: the paper's means."""

_SHOWN = 20


class ReplayDataError(UserError, ValueError):
    """Known data that cannot be replayed; `problems` has every reason found."""

    def __init__(self, source: Path | str, problems: Iterable[str]) -> None:
        self.problems = tuple(problems)
        count = len(self.problems)
        lines = [f"{source}: {count} problem{'' if count == 1 else 's'}; nothing was replayed."]
        lines += [f"  {problem}" for problem in self.problems[:_SHOWN]]
        if count > _SHOWN:
            lines.append(f"  ... and {count - _SHOWN} more")
        super().__init__("\n".join(lines))


@dataclass(frozen=True, kw_only=True)
class ReplayData:
    """Candidates whose relaxations are known.

    Attributes
    ----------
    candidates
        At least one.
    source
        Where they come from, in a few words.
    notes
        What a reader of the replay must know.
    stable
        What the source itself counts as stable; None: it does not say.
    """

    candidates: tuple[KnownCandidate, ...]
    source: str
    notes: tuple[str, ...] = ()
    stable: StableSection | None = None


def read_replay_data(
    path: Path,
    *,
    structures: Path | None = None,
    references: Path | None = None,
    model: str | None = None,
    part: Literal["test", "all"] = "test",
) -> ReplayData:
    """Read a CSV or JSONL file, or an ESNet data set.

    Parameters
    ----------
    path
        The file, or the data set's directory.
    structures
        Of a file: folder of CIF or POSCAR files for compositions that have no column.
    references
        File of reference entries, for hulls (`campaign.replay.hull`).
    model
        Of a data set: directory or name of the bundle that predicts.
    part
        Of a data set: ``test``, what the model has not been fitted to, or ``all``.

    Raises
    ------
    ReplayDataError
        If the data cannot be used, or an option does not belong to this kind of data.
    """
    if not path.exists():
        raise ReplayDataError(path, ["does not exist; right: a CSV or JSONL file, or the directory of a data set"])
    if path.is_dir():
        if structures is not None:
            raise ReplayDataError(path, ["--structures is for a CSV or JSONL file; this is a directory"])
        if model is None:
            raise ReplayDataError(path, ["a data set has no predictions; right: --model BUNDLE, which makes them"])
        from campaign.replay.dataset import read_replay_dataset

        return read_replay_dataset(path, model=model, part=part, references=references)
    if model is not None:
        raise ReplayDataError(path, ["--model is for the directory of a data set; a file has its predictions"])
    from campaign.replay.table import read_replay_table

    return read_replay_table(path, structures=structures, references=references)
