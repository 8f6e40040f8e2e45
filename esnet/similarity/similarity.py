"""Similarity of the DOS of unrelaxed and relaxed structures: the paper's Figure 1b.

Mok et al., J. Mater. Chem. A 11 (2023), DOI 10.1039/D3TA01767B, compare the mean absolute errors (MAE) of six
properties (the number of states at each energy and the 0th to 4th moments) between the IS-DOS and the RS-DOS of one
material, for 18 channels, with those of equally many random pairs of an IS-DOS and an RS-DOS. Small errors mean that
the IS-DOS can represent the RS-DOS.

The definitions of the paper are interpreted as follows. The number of states is min-max normalised for each channel
over all densities compared (both kinds), so that its MAE is a fraction of the range of the channel. Energies at which
neither DOS of a pair has states are left out of the mean, since their zeros agree trivially. Channels that are empty in
both, and moments that are undefined for one of the two, do not count. The paper normalises only the number of states;
here, errors of moments are given in their units and also as fractions of their range, to share an axis.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from esnet.files.errors import UserError
from esnet.representation.dos import N_ORBITALS, ORBITALS, SPINS
from esnet.representation.features import Representation
from esnet.representation.moments import CHANNEL_NAMES, MOMENTS, moments_of_batch

PROPERTIES = ("states", *MOMENTS)
"""The compared properties: the number of states at each energy, then the moments."""
UNITS = {"states": "states/eV", "filling": "", "center": "eV", "width": "eV", "skewness": "", "kurtosis": ""}

EMPTY_DENSITY = 1e-4
"""Densities below this count as zero, states/eV: VASP writes four decimals, other codes write tails of Gaussians."""

_N_CHANNELS = len(SPINS) * N_ORBITALS
_PAIRS_AT_ONCE = 64


class SimilarityError(UserError, ValueError):
    """IS-DOS and RS-DOS cannot be compared; the message gives the reason."""


class DosSource(Protocol):
    """Data needed for a comparison, from a data set (`esnet.dataset.dataset.Dataset`) or elsewhere."""

    @property
    def path(self) -> Path | str:
        """Path or name of the data."""

    @property
    def checksum(self) -> str:
        """Checksum of the content; may be empty."""

    @property
    def representation(self) -> Representation:
        """Representation of the DOS."""

    @property
    def ids(self) -> Sequence[str]:
        """Id of each DOS."""

    @property
    def materials(self) -> Sequence[str]:
        """Material of each DOS; the DOS of one material are compared."""

    @property
    def kinds(self) -> Sequence[str]:
        """``is_dos`` or ``rs_dos`` for each DOS."""

    @property
    def efermi(self) -> NDArray[np.float64]:
        """Fermi levels on the axis of the DOS, eV; NaN if unknown."""

    def read(self, indices: NDArray[np.intp]) -> NDArray[np.float32]:
        """Return the DOS with these indices, shape (n, 2, 1500, 9)."""

    def __len__(self) -> int:
        """Return the number of DOS."""


@dataclass(frozen=True)
class PairErrors:
    """Errors of n pairs.

    Attributes
    ----------
    values
        Absolute errors by pair, property (`PROPERTIES`) and channel, in the unit of the property, shape (n, 6, 18);
        NaN if undefined.
    """

    values: NDArray[np.float64]

    @cached_property
    def mean(self) -> NDArray[np.float64]:
        """Means over the pairs, shape (6, 18); NaN if no pair has a value."""
        mean: NDArray[np.float64] = np.nansum(self.values, axis=0) / self._divisor
        return mean

    @cached_property
    def deviation(self) -> NDArray[np.float64]:
        """Standard deviations over the pairs, shape (6, 18)."""
        deviation: NDArray[np.float64] = np.sqrt(np.nansum((self.values - self.mean) ** 2, axis=0) / self._divisor)
        return deviation

    @cached_property
    def count(self) -> NDArray[np.intp]:
        """Number of pairs with a value, shape (6, 18)."""
        count: NDArray[np.intp] = np.isfinite(self.values).sum(axis=0)
        return count

    @property
    def _divisor(self) -> NDArray[np.float64]:
        return np.where(self.count > 0, self.count, np.nan)


@dataclass(frozen=True, kw_only=True)
class Similarity:
    """Figure 1b of one data set.

    Attributes
    ----------
    same
        Errors between IS-DOS and RS-DOS of the same material.
    random
        Errors between the IS-DOS of one and the RS-DOS of another material.
    ranges
        Range of the values of all DOS compared, shape (6, 18); NaN if no DOS has a value.
    about
        Data set, seed, counts and notes, in JSON types.
    """

    same: PairErrors
    random: PairErrors
    ranges: NDArray[np.float64]
    about: dict[str, Any]

    def table(self) -> list[dict[str, Any]]:
        """Return one record per property and channel, and one per property over its channels.

        ``mae`` and ``deviation`` (over the pairs) are in the unit of the property, ``mae_normalised`` and
        ``deviation_normalised`` are fractions of the range of the channel. In the records over all channels
        (``channel``: ``all``), they are the mean and the standard deviation of the normalised errors over the channels.
        """
        rows = []
        for row, name in enumerate(PROPERTIES):
            for column, channel in enumerate(CHANNEL_NAMES):
                rows.append({"property": name, "unit": UNITS[name], "channel": channel} | self._cell(row, column))
            rows.append({"property": name, "unit": "", "channel": "all"} | self._overall(row))
        return rows

    def normalised(self, errors: PairErrors) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return means and standard deviations as fractions of the range, shape (6, 18) each."""
        return errors.mean / self.ranges, errors.deviation / self.ranges

    def _cell(self, row: int, column: int) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for label, errors in (("same", self.same), ("random", self.random)):
            mean, deviation = self.normalised(errors)
            found[label] = {
                "mae": _number(errors.mean[row, column]),
                "deviation": _number(errors.deviation[row, column]),
                "mae_normalised": _number(mean[row, column]),
                "deviation_normalised": _number(deviation[row, column]),
                "pairs": int(errors.count[row, column]),
            }
        return found

    def _overall(self, row: int) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for label, errors in (("same", self.same), ("random", self.random)):
            means = self.normalised(errors)[0][row]
            there = means[np.isfinite(means)]
            found[label] = {
                "mae": None,
                "deviation": None,
                "mae_normalised": _number(there.mean()) if len(there) else None,
                "deviation_normalised": _number(there.std()) if len(there) else None,
                "pairs": len(errors.values),
            }
        return found


def compare_dos(dataset: DosSource, *, seed: int = 1) -> Similarity:
    """Compare the IS-DOS and RS-DOS of a data set.

    Parameters
    ----------
    dataset
        The data to compare.
    seed
        Seed of the random pairs, of which there is one per material: its IS-DOS and the RS-DOS of another material.

    Returns
    -------
    Similarity
        Errors of the same and of random pairs.

    Raises
    ------
    SimilarityError
        If fewer than two materials have both kinds.

    Notes
    -----
    Reads each DOS about twice, 128 at a time. If a material has several DOS of a kind, the one with the first id is
    used. Samples without a Fermi level have no filling and no centre.
    """
    initial, relaxed = _pairs(dataset)
    extremes = _Extremes()
    rng = np.random.default_rng(seed)
    # a shift by 1 to n - 1 in a random order never pairs a material with itself, and uses each IS-DOS once
    order = rng.permutation(len(initial))
    other = np.empty_like(order)
    other[order] = np.roll(order, int(rng.integers(1, len(order))))
    same = _errors(dataset, initial, relaxed, extremes)
    random = _errors(dataset, initial, relaxed[other], extremes)
    return Similarity(same=same, random=random, ranges=extremes.ranges(), about=_about(dataset, initial, relaxed, seed))


def _pairs(dataset: DosSource) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return the indices of IS-DOS and RS-DOS of the materials with both."""
    first: dict[str, dict[str, int]] = {"is_dos": {}, "rs_dos": {}}
    for place in sorted(range(len(dataset)), key=lambda place: dataset.ids[place]):
        first[dataset.kinds[place]].setdefault(dataset.materials[place], place)
    both = sorted(set(first["is_dos"]) & set(first["rs_dos"]))
    if len(both) < 2:
        raise SimilarityError(
            f"{dataset.path}: {len(both)} materials have both an IS-DOS and an RS-DOS, at least 2 are needed (it has "
            f"{len(first['is_dos'])} materials with an IS-DOS and {len(first['rs_dos'])} with an RS-DOS); a campaign "
            "for a training set collects both (examples/training_set.yaml)"
        )
    return (
        np.array([first["is_dos"][name] for name in both], dtype=np.intp),
        np.array([first["rs_dos"][name] for name in both], dtype=np.intp),
    )


@dataclass
class _Extremes:
    """Running minimum and maximum of each property and channel, shape (6, 18)."""

    low: NDArray[np.float64] = field(default_factory=lambda: np.full((len(PROPERTIES), _N_CHANNELS), np.inf))
    high: NDArray[np.float64] = field(default_factory=lambda: np.full((len(PROPERTIES), _N_CHANNELS), -np.inf))

    def see(self, dos: NDArray[np.float32], moments: NDArray[np.float64]) -> None:
        by_channel = dos.min(axis=2).reshape(len(dos), -1), dos.max(axis=2).reshape(len(dos), -1)
        self.low[0] = np.minimum(self.low[0], by_channel[0].min(axis=0))
        self.high[0] = np.maximum(self.high[0], by_channel[1].max(axis=0))
        # fmin and fmax ignore NaN
        self.low[1:] = np.fmin(self.low[1:], np.fmin.reduce(moments, axis=0).T)
        self.high[1:] = np.fmax(self.high[1:], np.fmax.reduce(moments, axis=0).T)

    def ranges(self) -> NDArray[np.float64]:
        found = self.high - self.low
        # a property that is constant up to rounding has no range to normalise by
        rounding = 1e-9 * np.maximum(1.0, np.abs(np.where(np.isfinite(found), self.high, 0.0)))
        return np.where(np.isfinite(found) & (found > rounding), found, np.nan)


def _errors(
    dataset: DosSource, initial: NDArray[np.intp], relaxed: NDArray[np.intp], extremes: _Extremes
) -> PairErrors:
    values = np.empty((len(initial), len(PROPERTIES), _N_CHANNELS))
    for start in range(0, len(initial), _PAIRS_AT_ONCE):
        part = slice(start, start + _PAIRS_AT_ONCE)
        dos, moments = [], []
        for indices in (initial[part], relaxed[part]):
            densities = dataset.read(indices)
            found = moments_of_batch(densities, efermi=dataset.efermi[indices]).values
            dos.append(densities)
            moments.append(found.reshape(len(indices), _N_CHANNELS, len(MOMENTS)))
            extremes.see(densities, moments[-1])
        values[part, 0] = _state_errors(*dos)
        values[part, 1:] = np.abs(moments[0] - moments[1]).transpose(0, 2, 1)
    return PairErrors(values)


def _state_errors(initial: NDArray[np.float32], relaxed: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return mean absolute differences over energies at which either DOS has states, shape (n, 18); NaN if none."""
    there = (np.abs(initial) > EMPTY_DENSITY) | (np.abs(relaxed) > EMPTY_DENSITY)
    difference = np.where(there, np.abs(initial - relaxed), 0.0).sum(axis=2, dtype=np.float64)
    count = there.sum(axis=2)
    return np.where(count > 0, difference / np.maximum(count, 1), np.nan).reshape(len(initial), _N_CHANNELS)


def _about(dataset: DosSource, initial: NDArray[np.intp], relaxed: NDArray[np.intp], seed: int) -> dict[str, Any]:
    n_unknown = int(np.isnan(dataset.efermi[[*initial, *relaxed]]).sum())
    return {
        "format": "esnet-similarity",
        "format_version": 1,
        "dataset": {"name": Path(dataset.path).name, "checksum": dataset.checksum, "n_samples": len(dataset)},
        "representation": dataset.representation.to_dict(),
        "seed": seed,
        "pairs": len(initial),
        "orbitals": list(ORBITALS),
        "empty_density": EMPTY_DENSITY,
        "notes": (
            [f"{n_unknown} samples have no Fermi level: they count in neither filling nor centre"] if n_unknown else []
        ),
    }


def _number(value: Any) -> float | None:
    return float(value) if np.isfinite(value) else None
