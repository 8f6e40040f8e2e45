"""Settings of the search, and resources of the trials."""

from dataclasses import dataclass
from typing import Any, Literal, get_args

from esnet.tuning.space import Parameters, TuningError

Stopping = Literal["asha", "none"]


@dataclass(frozen=True, kw_only=True)
class SearchSettings:
    """Settings of the search.

    Attributes
    ----------
    trials
        Number of trials, including failed ones. Raise it to continue a finished study. Not used for a grid.
    grid
        Number of points along each parameter of a regular grid. If None, Ax proposes the points.
    points
        Points to try before Ax is asked.
    initial_trials
        Number of trials before Ax uses its model.
    stopping
        ``asha`` stops a trial early if it is worse than others were at the same epoch; ``none`` stops no trial.
    grace
        Number of epochs before a trial may be stopped.
    reduction
        One in this many trials that reach a rung (grace, grace x reduction, ... epochs) continues.
    seed
        Seed of the search.
    """

    trials: int = 20
    grid: tuple[int, ...] | None = None
    points: tuple[Parameters, ...] = ()
    initial_trials: int = 5
    stopping: Stopping = "asha"
    grace: int = 10
    reduction: float = 3.0
    seed: int = 0

    def __post_init__(self) -> None:
        if self.grid is not None:
            object.__setattr__(self, "grid", tuple(self.grid))
            if self.points:
                raise TuningError("points are for Ax: a grid has its own")
        for name in ("trials", "initial_trials", "grace"):
            _require(name, getattr(self, name), _is_int(getattr(self, name), 1), "a whole number above 0")
        _require("seed", self.seed, _is_int(self.seed, 0), "a whole number, 0 or above")
        _require("stopping", self.stopping, self.stopping in get_args(Stopping), "asha or none")
        _require("reduction", self.reduction, self.reduction > 1, "above 1")

    def identity(self) -> dict[str, Any]:
        """Return the settings that the trials of a study must share to be comparable, in JSON types."""
        return {
            "grid": list(self.grid) if self.grid else None,
            "stopping": self.stopping,
            "grace": self.grace if self.stopping == "asha" else None,
            "reduction": self.reduction if self.stopping == "asha" else None,
            "seed": self.seed,
        }


@dataclass(frozen=True, kw_only=True)
class Resources:
    """Resources of the trials; not part of a study's identity.

    Attributes
    ----------
    cpus, gpus
        Resources of each trial. With a fraction of a GPU, several trials share one. If ``gpus`` is None, one GPU if Ray
        has any.
    concurrent
        Number of trials run at the same time. If None, as many as fit on Ray's nodes.
    retries
        Number of times a trial is resumed after its worker died or raised an exception.
    """

    cpus: int = 1
    gpus: float | None = None
    concurrent: int | None = None
    retries: int = 2

    def __post_init__(self) -> None:
        _require("cpus", self.cpus, _is_int(self.cpus, 1), "a whole number above 0")
        _require("gpus", self.gpus, self.gpus is None or self.gpus >= 0, "0 or above")
        _require("retries", self.retries, _is_int(self.retries, 0), "a whole number, 0 or above")
        concurrent = self.concurrent
        _require("concurrent", concurrent, concurrent is None or _is_int(concurrent, 1), "a whole number above 0")


def _is_int(value: Any, lowest: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= lowest


def _require(name: str, value: Any, valid: bool, right: str) -> None:
    if not valid:
        raise TuningError(f"{name}={value!r}: must be {right}")
