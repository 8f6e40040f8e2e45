"""Results of a replay: its curve and totals, and those over several seeds."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

_CURVE_POINTS = 500
_AS_THEY_ARE = (
    *("success_ratio", "discoverability", "cpu_hours_per_stable", "saving", "promoted", "audited", "rejected", "held"),
    *("without_dos", "failed", "failed_promoted", "stable_promoted", "stable_audited", "stopped"),
    *("n_candidates", "n_stable"),
)


@dataclass(frozen=True, kw_only=True)
class Replay:
    """One policy on one set of candidates with one seed.

    Attributes
    ----------
    label
        Name of the policy as given by the user, preceded by that of the scorer if there are several; or ``random``,
        ``oracle``.
    seed
        Seed of the order of the candidates and the audit sample.
    cpu_hours
        CPU-hours, IS-DOS included, after 0, 1, ... k relaxations, shape (k + 1,).
    stable
        Number of stable materials found by then, including the audit sample, shape (k + 1,).
    dos_cpu_hours
        CPU-hours of the IS-DOS.
    relax_all_cpu_hours
        CPU-hours that relaxing every candidate would cost.
    n_candidates, n_stable
        Number of all and of truly stable candidates.
    promoted, audited
        Number relaxed because promoted by the policy, and as part of the audit sample.
    rejected, held, without_dos
        Number not relaxed because rejected; because the budget was spent; because the budget did not suffice for the
        IS-DOS.
    failed_promoted, failed_audited
        Number of failed relaxations among the promoted and in the audit sample.
    stable_promoted, stable_audited
        Number of stable materials among the promoted and in the audit sample.
    stopped
        The stop rule that ended it, or None.
    is_limit
        Whether it is a limit (random choice or full knowledge) instead of a policy.

    Examples
    --------
    >>> import campaign
    >>> data = campaign.read_replay_data("examples/replay.csv")
    >>> [replay] = campaign.compare(data, ["thresholds"]).policies["thresholds"]
    >>> replay.total_stable, replay.n_stable, round(replay.saving, 2)
    (13, 18, 0.6)
    """

    label: str
    seed: int
    cpu_hours: NDArray[np.float64]
    stable: NDArray[np.intp]
    dos_cpu_hours: float
    relax_all_cpu_hours: float
    n_candidates: int
    n_stable: int
    promoted: int
    audited: int
    rejected: int
    held: int
    without_dos: int
    failed_promoted: int
    failed_audited: int
    stable_promoted: int
    stable_audited: int
    stopped: str | None
    is_limit: bool = False

    @property
    def relaxations(self) -> int:
        """Number of relaxations, promoted and audited."""
        return self.promoted + self.audited

    @property
    def failed(self) -> int:
        """Number of failed relaxations."""
        return self.failed_promoted + self.failed_audited

    @property
    def total_cpu_hours(self) -> float:
        """CPU-hours of IS-DOS and relaxations."""
        return float(self.cpu_hours[-1])

    @property
    def total_stable(self) -> int:
        """Number of stable materials found, including the audit sample."""
        return int(self.stable[-1])

    @property
    def success_ratio(self) -> float | None:
        """Fraction of stable ones among the promoted, without failed relaxations; None if there are none."""
        known = self.promoted - self.failed_promoted
        return self.stable_promoted / known if known else None

    @property
    def discoverability(self) -> float | None:
        """Fraction of the stable materials that were promoted; None if nothing is stable."""
        return self.stable_promoted / self.n_stable if self.n_stable else None

    @property
    def cpu_hours_per_stable(self) -> float | None:
        """CPU-hours, IS-DOS included, per stable material found; None if none was found."""
        return self.total_cpu_hours / self.total_stable if self.total_stable else None

    @property
    def recall(self) -> float | None:
        """Fraction of the stable materials that was found, including the audit sample; None if nothing is stable."""
        return self.total_stable / self.n_stable if self.n_stable else None

    @property
    def counted_cpu_hours(self) -> float:
        """CPU-hours for its discoveries: all of a policy's, or those of a limit up to its last stable material."""
        hours = self.cpu_hours_to(self.total_stable) if self.is_limit else None
        return self.total_cpu_hours if hours is None else hours

    @property
    def c_eff_cpu_s(self) -> float | None:
        """C_eff: `counted_cpu_hours` in CPU-s per candidate divided by `recall`; None if nothing was found."""
        return 3600.0 * self.counted_cpu_hours / self.n_candidates / self.recall if self.recall else None

    def cpu_hours_to(self, stable: int) -> float | None:
        """Return the CPU-hours needed to find a number of stable materials.

        Parameters
        ----------
        stable
            Number of stable materials.

        Returns
        -------
        float or None
            CPU-hours; None if fewer were found.

        Examples
        --------
        >>> import campaign
        >>> data = campaign.read_replay_data("examples/replay.csv")
        >>> [oracle] = campaign.compare(data, ["thresholds"]).limits["oracle"]
        >>> round(oracle.cpu_hours_to(13), 1), oracle.cpu_hours_to(1000)
        (8.5, None)
        """
        place = int(np.searchsorted(self.stable, stable))
        return float(self.cpu_hours[place]) if place < len(self.stable) else None

    @property
    def saving(self) -> float | None:
        """Fraction of CPU-hours saved compared with relaxing everything without any IS-DOS."""
        everything = self.relax_all_cpu_hours
        return round(1.0 - self.total_cpu_hours / everything, 9) + 0.0 if everything else None

    def stable_at(self, cpu_hours: ArrayLike) -> NDArray[np.intp]:
        """Return the number of stable materials found within some CPU-hours.

        Parameters
        ----------
        cpu_hours
            CPU-hours, IS-DOS included; a number or an array of any shape.

        Returns
        -------
        array of int
            Numbers in the same shape: 0 before the first relaxation, the last count after the end.

        Examples
        --------
        >>> import campaign
        >>> data = campaign.read_replay_data("examples/replay.csv")
        >>> [replay] = campaign.compare(data, ["thresholds"]).policies["thresholds"]
        >>> replay.stable_at([0.0, replay.total_cpu_hours]).tolist()
        [0, 13]
        """
        # tolerates the rounding of the same costs summed in another order
        indices = np.searchsorted(self.cpu_hours, np.asarray(cpu_hours) * (1.0 + 1e-12), side="right") - 1
        return np.where(indices < 0, 0, self.stable[indices])

    def totals(self) -> dict[str, Any]:
        """Return everything but the curve in JSON types.

        Returns
        -------
        dict
            Counts, fractions from 0 to 1, costs in CPU-hours; None if unknown.

        Examples
        --------
        >>> import campaign
        >>> data = campaign.read_replay_data("examples/replay.csv")
        >>> [replay] = campaign.compare(data, ["thresholds"]).policies["thresholds"]
        >>> replay.totals()["policy"]
        'thresholds'
        """
        return {
            "policy": self.label,
            "seed": self.seed,
            "cpu_hours": self.total_cpu_hours,
            "dos_cpu_hours": self.dos_cpu_hours,
            "relaxations": self.relaxations,
            "stable": self.total_stable,
            "recall": self.recall,
            "c_eff_cpu_s": self.c_eff_cpu_s,
            **{name: getattr(self, name) for name in _AS_THEY_ARE},
        }


class Spread(NamedTuple):
    """Mean, smallest and largest value of a figure over several seeds."""

    mean: float
    least: float
    most: float


def spread(replays: Sequence[Replay], figure: Callable[[Replay], float | None]) -> Spread | None:
    """Return mean and range of a figure; None if a seed has none."""
    values = [figure(found) for found in replays]
    known = [float(value) for value in values if value is not None]
    return Spread(float(np.mean(known)), min(known), max(known)) if len(known) == len(values) else None


class Band(NamedTuple):
    """A curve over several seeds: CPU-hours, and mean, smallest and largest number of stable materials, each of shape
    (n,).
    """

    cpu_hours: NDArray[np.float64]
    mean: NDArray[np.float64]
    least: NDArray[np.intp]
    most: NDArray[np.intp]


def band(replays: Sequence[Replay]) -> Band:
    """Return the curves of a policy with several seeds on a common axis, from the first to the last relaxation.

    A seed that ends earlier keeps its last count.
    """
    start = min(float(found.cpu_hours[0]) for found in replays)
    end = max(found.total_cpu_hours for found in replays)
    hours = np.linspace(start, end, _CURVE_POINTS) if end > start else np.array([start])
    counts = np.array([found.stable_at(hours) for found in replays])
    return Band(hours, counts.mean(axis=0), counts.min(axis=0), counts.max(axis=0))
