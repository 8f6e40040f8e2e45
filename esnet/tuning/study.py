"""Folder of a tuning run, with its settings and trials as JSON files that survive interruption.

study.json                    format, what makes the study what it is, versions, UTC
trials/trial-001/trial.json   parameters, status and results by epoch of one trial; written anew after each epoch
trials/trial-001/...          what the trial itself keeps there: checkpoints, then its bundle
ray/                          what Ray writes: CSV, JSON and TensorBoard files of each trial

This is all that a restart reads. Ray's own experiment state (``Tuner.restore``, Ray 2.60) is not used: it forgets the
scheduler's results, starts from the beginning, without saying so, where a kill cut its file off, and is a pickle.
"""

import json
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, field, fields, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, Self

from esnet.files.atomic import write_whole
from esnet.files.folder_lock import exclusive
from esnet.tuning.space import Parameters, TuningError

FORMAT = "esnet-tuning-study"
FORMAT_VERSION = 1
STUDY = "study.json"
TRIAL = "trial.json"

Status = Literal["running", "finished", "stopped", "failed"]
Row = Mapping[str, float | None]


@dataclass(frozen=True, kw_only=True)
class Trial:
    """Content of a trial's file.

    Attributes
    ----------
    name
        ``trial-001`` and so on, in the order of their starts.
    parameters
        The values tried.
    status
        ``running`` also where the process that ran it is gone; ``stopped``: early, by the scheduler.
    curve
        Results by epoch: ``epoch`` and the metrics, None where a value was not finite.
    recoveries
        How often its worker died or raised and another went on.
    message
        Why it failed, or the last reason of a recovery; empty where all went well.
    started, ended
        UTC, ISO 8601.
    """

    name: str
    parameters: dict[str, Any]
    status: Status = "running"
    curve: tuple[Row, ...] = ()
    recoveries: int = 0
    message: str = ""
    started: str = field(default_factory=lambda: _now())
    ended: str | None = None

    @property
    def epoch(self) -> int:
        """Last epoch with a result; 0 if there is none."""
        return int(self.curve[-1]["epoch"] or 0) if self.curve else 0

    def last(self, metric: str) -> float | None:
        """Return the last value of a metric; None if it is missing or not finite."""
        return self.curve[-1].get(metric) if self.curve else None

    def with_row(self, row: Row) -> Self:
        """Add the results of an epoch, replacing those that a restarted worker repeats."""
        kept = [old for old in self.curve if (old["epoch"] or 0) < (row["epoch"] or 0)]
        return replace(self, curve=(*kept, dict(row)))


@dataclass(frozen=True)
class Study:
    """Folder of one tuning run, written by one process at a time (see `locked`)."""

    path: Path

    @classmethod
    def begin(cls, path: Path | str, *, identity: Mapping[str, Any], about: Mapping[str, Any]) -> Self:
        """Create the folder, or open one started with the same settings.

        Parameters
        ----------
        identity
            What makes results comparable: data, split, settings, search. JSON types.
        about
            Written beside it and not compared: versions and the like.

        Raises
        ------
        TuningError
            If the folder holds something else, or a study with another identity: each difference is named.
        """
        study = cls(Path(path).resolve())
        wanted = json.loads(json.dumps(identity))
        if (study.path / STUDY).is_file():
            study._require_same(wanted)
            return study
        if study.path.exists() and (not study.path.is_dir() or any(study.path.iterdir())):
            raise TuningError(f"{study.path} exists but is not a tuning study (no {STUDY} in it): name another folder")
        study.path.mkdir(parents=True, exist_ok=True)
        content = {
            "format": FORMAT,
            "format_version": FORMAT_VERSION,
            "created": _now(),
            "identity": wanted,
            "about": dict(about),
        }
        _write_json(study.path / STUDY, content)
        return study

    def folder(self, name: str) -> Path:
        """Return the folder of a trial."""
        return self.path / "trials" / name

    def trials(self) -> list[Trial]:
        """Return all trials, in the order of their names.

        Raises
        ------
        TuningError
            If a trial's file cannot be read.
        """
        return [self.trial(file.parent.name) for file in sorted(self.path.glob(f"trials/*/{TRIAL}"))]

    def trial(self, name: str) -> Trial:
        """Return one trial; raise TuningError if its file cannot be read."""
        file = self.folder(name) / TRIAL
        content = _read_json(file)
        names = {entry.name for entry in fields(Trial)}
        if not isinstance(content, dict) or set(content) != names:
            raise TuningError(f"{file} is not a trial's file: it must have the keys {', '.join(sorted(names))}")
        return Trial(**content | {"curve": tuple(content["curve"])})

    def write(self, trial: Trial) -> None:
        """Write one trial atomically."""
        folder = self.folder(trial.name)
        folder.mkdir(parents=True, exist_ok=True)
        _write_json(folder / TRIAL, asdict(trial))

    def end(self, trial: Trial, status: Status, *, message: str = "") -> None:
        """Write one ended trial."""
        self.write(replace(trial, status=status, message=message or trial.message, ended=_now()))

    def locked(self) -> AbstractContextManager[None]:
        """Lock the study against other processes; the system releases the lock of a dead process.

        Raises
        ------
        TuningError
            If another process works on it.
        """
        busy = TuningError(f"{self.path}: another process tunes in this folder; wait for it, or end it")
        return exclusive(self.path / ".lock", busy=busy)

    def _require_same(self, wanted: Mapping[str, Any]) -> None:
        content = _read_json(self.path / STUDY)
        if content.get("format") != FORMAT or content.get("format_version") != FORMAT_VERSION:
            raise TuningError(
                f"{self.path / STUDY} is of format {content.get('format')!r}, version "
                f"{content.get('format_version')!r}; this program continues {FORMAT}, version {FORMAT_VERSION}"
            )
        before, now = _flat(content.get("identity", {})), _flat(wanted)
        differences = [
            f"{name} was {before.get(name, 'absent')!r} and is {now.get(name, 'absent')!r}"
            for name in sorted(before | now)
            if before.get(name) != now.get(name)
        ]
        if differences:
            raise TuningError(
                f"{self.path} was started with other settings: {'; '.join(differences)}. Use those, or another folder"
            )


def _flat(content: Any, prefix: str = "") -> dict[str, Any]:
    if not isinstance(content, dict):
        return {prefix: content}
    return {
        name: value
        for key, part in content.items()
        for name, value in _flat(part, f"{prefix}.{key}" if prefix else key).items()
    }


def best_trial(trials: Sequence[Trial], metric: str) -> Trial:
    """Return the finished trial with the smallest value.

    Raises
    ------
    TuningError
        If none finished: the first failure is quoted.
    """
    values = {trial.name: trial.last(metric) for trial in trials if trial.status == "finished"}
    finished = [trial for trial in trials if values.get(trial.name) is not None]
    if not finished:
        reasons = [f"{trial.name}: {trial.message}" for trial in trials if trial.message]
        raise TuningError(f"no trial of {len(trials)} finished" + (f"; {reasons[0]}" if reasons else ""))
    return min(finished, key=lambda trial: (values[trial.name], trial.name))


def parameters_text(parameters: Parameters) -> str:
    """Format parameters for the user: ``learning_rate 0.00112, batch_size 32``."""
    return ", ".join(
        f"{name} {value:.4g}" if isinstance(value, float) else f"{name} {value}" for name, value in parameters.items()
    )


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _read_json(file: Path) -> Any:
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise TuningError(f"{file} cannot be read as JSON: {error}") from error


def _write_json(file: Path, content: Mapping[str, Any]) -> None:
    write_whole(file, json.dumps(content, indent=1, allow_nan=False) + "\n")
