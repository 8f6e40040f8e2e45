"""Search space: tuned parameters and their ranges, grids over them, and random points."""

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

from esnet.files.errors import UserError

Parameters = Mapping[str, Any]
"""Value of each tuned parameter, by name; JSON types."""


class TuningError(UserError, ValueError):
    """A tuning run cannot start or continue as requested, or has no result; the message gives a remedy."""


@dataclass(frozen=True, kw_only=True)
class FloatRange:
    """Real numbers from ``low`` to ``high``, uniformly distributed, linearly or logarithmically."""

    low: float
    high: float
    log: bool = False

    def __post_init__(self) -> None:
        _check_range(self.low, self.high, log=self.log)

    def holds(self, value: Any) -> bool:
        """Return whether a value lies in the range."""
        return isinstance(value, int | float) and not isinstance(value, bool) and self.low <= value <= self.high

    def draw(self, random: Random) -> float:
        """Return a random value."""
        return _between(self.low, self.high, random.random(), log=self.log)

    def grid(self, points: int) -> list[float]:
        """Return ``points`` evenly spaced values including both ends, or the middle if ``points`` is 1."""
        return [_between(self.low, self.high, place, log=self.log) for place in _places(points)]


@dataclass(frozen=True, kw_only=True)
class IntRange:
    """Integers from ``low`` to ``high``, both included (``tune.randint`` excludes the upper one)."""

    low: int
    high: int
    log: bool = False

    def __post_init__(self) -> None:
        for bound in (self.low, self.high):
            if not isinstance(bound, int) or isinstance(bound, bool):
                raise TuningError(f"{bound!r} is not a whole number, as the bounds of a range of such must be")
        _check_range(self.low, self.high, log=self.log)

    def holds(self, value: Any) -> bool:
        """Return whether a value is an integer in the range."""
        return isinstance(value, int) and not isinstance(value, bool) and self.low <= value <= self.high

    def draw(self, random: Random) -> int:
        """Return a random value."""
        return round(_between(self.low, self.high, random.random(), log=self.log))

    def grid(self, points: int) -> list[int]:
        """Return ``points`` distinct values including both ends, as evenly spaced as integers allow."""
        if points > self.high - self.low + 1:
            raise TuningError(f"{points} different whole numbers do not fit into {self.low} to {self.high}")
        values = {round(_between(self.low, self.high, place, log=self.log)) for place in _places(points)}
        # if two values of a logarithmic grid round to the same integer, the second moves to the next free one
        for value in range(self.low, self.high + 1):
            if len(values) == points:
                break
            values.add(value)
        return sorted(values)


@dataclass(frozen=True, kw_only=True)
class Choice:
    """Unordered choice among values of one JSON type."""

    values: tuple[Any, ...]

    def __post_init__(self) -> None:
        kinds = {type(value) for value in self.values}
        if len(self.values) < 2 or len(kinds) != 1 or not kinds <= {bool, int, float, str}:
            raise TuningError(
                f"a choice is among two or more values of one type (bool, int, float, str): {self.values}"
            )

    def holds(self, value: Any) -> bool:
        """Return whether a value is one of the choices."""
        return any(type(value) is type(known) and value == known for known in self.values)

    def draw(self, random: Random) -> Any:
        """Return a random value."""
        return random.choice(self.values)

    def grid(self, points: int) -> list[Any]:
        """Return all values; their number must be ``points``."""
        if points != len(self.values):
            raise TuningError(f"a grid over a choice has all of its {len(self.values)} values, not {points}")
        return list(self.values)


Domain = FloatRange | IntRange | Choice
Space = Mapping[str, Domain]


def check_point(space: Space, point: Parameters) -> None:
    """Raise TuningError, naming the parameter, if a point is not in the space."""
    if set(point) != set(space):
        raise TuningError(f"a point of this space has {', '.join(space)}; found {', '.join(point) or 'nothing'}")
    for name, value in point.items():
        if not space[name].holds(value):
            raise TuningError(f"{name}={value!r} is outside the search space: {space[name]}")


def grid_points(space: Space, shape: Sequence[int]) -> list[dict[str, Any]]:
    """Return all points of a grid with ``shape`` values of each parameter, in the order of the space.

    Raises
    ------
    TuningError
        If the shape does not fit the space.
    """
    if len(shape) != len(space) or any(number < 1 for number in shape):
        raise TuningError(f"a grid over {', '.join(space)} has {len(space)} numbers of points above 0, not {shape}")
    axes = [domain.grid(number) for domain, number in zip(space.values(), shape, strict=True)]
    return [dict(zip(space, values, strict=True)) for values in itertools.product(*axes)]


def random_point(space: Space, random: Random) -> dict[str, Any]:
    """Return one random point of the space."""
    return {name: domain.draw(random) for name, domain in space.items()}


def _check_range(low: float, high: float, *, log: bool) -> None:
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise TuningError(f"a range goes from a lower to a higher finite number, not from {low} to {high}")
    if log and low <= 0:
        raise TuningError(f"a logarithmic range lies above 0, and {low} does not")


def _places(points: int) -> list[float]:
    return [0.5] if points == 1 else [number / (points - 1) for number in range(points)]


def _between(low: float, high: float, place: float, *, log: bool) -> float:
    if place == 1:
        return high  # rounding might miss it
    value = low * (high / low) ** place if log else low + place * (high - low)
    return min(max(value, low), high)


PAPER_SPACE: Space = {"learning_rate": FloatRange(low=0.0005, high=0.002), "batch_size": IntRange(low=16, high=65)}
"""The ranges of the paper (Mok et al. 2023) for learning rate and batch size, with both ends included."""
