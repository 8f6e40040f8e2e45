"""Read known data for a replay from any source."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from campaign.replay.data import ReplayData, ReplayDataError
from campaign.replay.dataset import read_replay_dataset
from campaign.replay.table import read_replay_table


def read_replay_data(
    path: Path | str,
    *,
    structures: Path | None = None,
    references: Path | None = None,
    model: str | None = None,
    part: Literal["test", "all"] = "test",
    leave_out: Sequence[str] = (),
) -> ReplayData:
    """Read a CSV or JSONL file, or an ESNet data set.

    Parameters
    ----------
    path
        The file, or the data set's directory.
    structures
        For a file: folder of CIF or POSCAR files, for compositions that are not in a column.
    references
        File of reference entries, for hulls (`campaign.replay.hull`).
    model
        For a data set: directory or name of the bundle that predicts.
    part
        For a data set: ``test`` (samples that the model was not fitted to) or ``all``.
    leave_out
        For a file: rows to leave out (`campaign.replay.table.read_replay_table`).

    Returns
    -------
    ReplayData
        Candidates with energies in eV/atom and costs in CPU-s.

    Raises
    ------
    ReplayDataError
        If the data cannot be used, or an option does not belong to this kind of data.

    Examples
    --------
    >>> import campaign
    >>> len(campaign.read_replay_data("examples/replay.csv").candidates)
    60
    """
    path = Path(path)
    if not path.exists():
        raise ReplayDataError(path, ["does not exist; right: a CSV or JSONL file, or the directory of a data set"])
    if path.is_dir():
        if structures is not None:
            raise ReplayDataError(path, ["--structures is for a CSV or JSONL file; this is a directory"])
        if leave_out:
            raise ReplayDataError(path, ["--leave-out is for the rows of a CSV or JSONL file; this is a directory"])
        if model is None:
            raise ReplayDataError(path, ["a data set has no predictions; right: --model BUNDLE, which makes them"])
        return read_replay_dataset(path, model=model, part=part, references=references)
    if model is not None:
        raise ReplayDataError(path, ["--model is for the directory of a data set; a file has its predictions"])
    return read_replay_table(path, structures=structures, references=references, leave_out=leave_out)
