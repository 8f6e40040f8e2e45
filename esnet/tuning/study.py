"""Folder of a tuning run, with its settings and trials in JSON files that survive interruption.

* ``study.json``: format, identity of the study, versions, time (UTC);
* ``trials/trial-001/trial.json``: parameters, status and results by epoch of one trial, rewritten after each epoch;
* ``trials/trial-001/...``: other files of the trial: checkpoints, and finally its bundle;
* ``ray/``: CSV, JSON and TensorBoard files that Ray writes for each trial.

A restart reads nothing but the study's own files. Ray's experiment state (``Tuner.restore``, Ray 2.60) is not used,
because it forgets the results of the scheduler, silently starts from the beginning if a kill truncated its file, and is
a pickle.
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
        Values of the tuned parameters.
    status
        ``running`` (also after the process that ran it has died), ``finished``, ``stopped`` (early, by the scheduler)
        or ``failed``.
    curve
        Results by epoch: ``epoch`` and the metrics; None for values that were not finite.
    recoveries
        Number of times that its worker died or raised an exception and another one resumed it.
    message
        Reason of the failure or of the last recovery; empty if there was none.
    started, ended
        Times, UTC, ISO 8601.
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
        """Number of the last epoch with a result; 0 if there is none."""
        return int(self.curve[-1]["epoch"] or 0) if self.curve else 0

    def last(self, metric: str) -> float | None:
        """Return the last value of a metric; None if it is missing or not finite."""
        return self.curve[-1].get(metric) if self.curve else None

    def with_row(self, row: Row) -> Self:
        """Return the trial with the results of an epoch added, replacing those that a restarted worker repeats."""
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
            Inputs that results must share to be comparable (data, split, settings, search), in JSON types.
        about
            Further information, such as versions, which is stored but not compared.

        Raises
        ------
        TuningError
            If the folder contains something else, or a study with another identity; the message names the differences.
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
        """Record that a trial has ended."""
        self.write(replace(trial, status=status, message=message or trial.message, ended=_now()))

    def locked(self) -> AbstractContextManager[None]:
        """Lock the study against other processes; the operating system releases the lock of a dead process.

        Raises
        ------
        TuningError
            If another process is using the study.
        """
        busy = TuningError(f"{self.path}: another process is tuning in this folder; wait for it, or end it")
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
        If no trial finished; the message quotes the first failure.
    """
    values = {trial.name: trial.last(metric) for trial in trials if trial.status == "finished"}
    finished = [trial for trial in trials if values.get(trial.name) is not None]
    if not finished:
        reasons = [f"{trial.name}: {trial.message}" for trial in trials if trial.message]
        raise TuningError(f"no trial of {len(trials)} finished" + (f"; {reasons[0]}" if reasons else ""))
    return min(finished, key=lambda trial: (values[trial.name], trial.name))


def parameters_text(parameters: Parameters) -> str:
    """Format parameters as text: ``learning_rate 0.00112, batch_size 32``."""
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
