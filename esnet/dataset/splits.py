"""Training, validation and test parts that share no material and no density of states.

Samples are first joined into indivisible units: those of one material, those with identical densities and, for a split
by chemical system or prototype, those of one system or prototype. A unit goes into one part as a whole, so the parts
are disjoint by construction. The assignment follows from a hash of the seed and the names of the materials, and depends
neither on the order of the samples nor on the NumPy version. scikit-learn's group splits are not used because they draw
from NumPy's generator, and because their fractions count groups, whereas the fractions here count samples.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from esnet.dataset.dataset import Dataset
from esnet.files.errors import UserError

SplitBy = Literal["random", "chemsys", "prototype"]
Part = Literal["train", "validation", "test"]

PARTS: tuple[Part, ...] = get_args(Part)


class SplitError(UserError, ValueError):
    """The split cannot be made or reproduced; the message gives the reason and a remedy."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Split:
    """Training, validation and test samples.

    Attributes
    ----------
    by
        ``random`` (by material), ``chemsys`` or ``prototype``.
    seed
        Seed of the choice.
    validation_fraction, test_fraction
        Requested fractions of the samples; 0 omits the part.
    test_chemsys
        Chemical systems placed in the test part regardless of its fraction.
    train, validation, test
        Indices of samples in ascending order.
    units
        Number of indivisible units.
    notes
        Notes for the reader, e.g. that prototypes are unknown.
    checksum
        SHA-256 of the ids in each part.
    """

    by: SplitBy
    seed: int
    validation_fraction: float
    test_fraction: float
    test_chemsys: tuple[str, ...]
    train: NDArray[np.intp]
    validation: NDArray[np.intp]
    test: NDArray[np.intp]
    units: int
    notes: tuple[str, ...]
    checksum: str

    def part(self, name: Part) -> NDArray[np.intp]:
        """Return the indices of the named part."""
        if name not in PARTS:
            raise SplitError(f"part {name!r}: must be one of {', '.join(PARTS)}")
        return {"train": self.train, "validation": self.validation, "test": self.test}[name]

    def to_dict(self) -> dict[str, Any]:
        """Return method, seed, fractions, counts and checksum in JSON types, without the indices."""
        return {
            "by": self.by,
            "seed": self.seed,
            "validation_fraction": self.validation_fraction,
            "test_fraction": self.test_fraction,
            "test_chemsys": list(self.test_chemsys),
            "n_train": len(self.train),
            "n_validation": len(self.validation),
            "n_test": len(self.test),
            "units": self.units,
            "notes": list(self.notes),
            "checksum": self.checksum,
        }

    def without(self, dataset: Dataset, left_out: NDArray[np.bool_], *, why: str) -> Split:
        """Return the split without the samples marked True in ``left_out``, shape (n,).

        Their number and the reason are added to the notes. `Split.of` cannot reproduce such a split, since it uses only
        the data set.
        """
        if not left_out.any():
            return self
        train, validation, test = (self.part(name)[~left_out[self.part(name)]] for name in PARTS)
        return replace(
            self,
            train=train,
            validation=validation,
            test=test,
            notes=(*self.notes, f"{int(left_out.sum())} samples are left out: {why}"),
            checksum=_checksum(dataset, {"train": train, "validation": validation, "test": test}),
        )

    def describe(self) -> str:
        """Return a one-line description."""
        parts = ", ".join(f"{len(self.part(name))} {name}" for name in PARTS)
        held_out = f", {len(self.test_chemsys)} chemical systems held out for the test" if self.test_chemsys else ""
        return f"by {self.by}, seed {self.seed}{held_out}: {parts} ({self.units} indivisible units)"

    @classmethod
    def of(cls, dataset: Dataset, record: Mapping[str, Any]) -> Split:
        """Reproduce a split from the result of `to_dict`.

        Raises
        ------
        SplitError
            If a key is missing, or the resulting parts differ from those recorded.
        """
        keys = ("by", "seed", "validation_fraction", "test_fraction", "test_chemsys", "checksum")
        missing = [key for key in keys if key not in record]
        if missing:
            raise SplitError(f"the record of a split lacks {', '.join(missing)}")
        again = split_dataset(dataset, **{key: record[key] for key in keys[:-1]})
        if again.checksum != record["checksum"]:
            raise SplitError(
                f"{dataset.path} is not the data set that was split: its parts have the checksum {again.checksum}, "
                f"recorded is {record['checksum']}"
            )
        return again


def split_dataset(
    dataset: Dataset,
    *,
    by: SplitBy = "random",
    seed: int = 1,
    validation_fraction: float = 0.1,
    test_fraction: float = 0.1,
    test_chemsys: Collection[str] = (),
) -> Split:
    """Divide a data set.

    Parameters
    ----------
    dataset
        The data set to divide.
    by
        ``random``: the parts share no material; ``chemsys``: also no chemical system; ``prototype``: also no prototype
        (a material of unknown prototype is its own unit; the notes state their number).
    seed
        Seed of the choice.
    validation_fraction, test_fraction
        Fractions of the samples; 0 omits the part. Actual fractions deviate slightly because units are indivisible.
    test_chemsys
        Chemical systems, e.g. ``Al-Pd``, placed in the test part in addition to its fraction. Use it for systems to be
        screened later, which the model must not have seen.

    Returns
    -------
    Split
        The parts, independent of the order of the samples.

    Raises
    ------
    SplitError
        If an option is not one of those listed, a chemical system is not in the data set, or a requested part would be
        empty.
    """
    _check(by, seed, validation_fraction, test_fraction)
    units, notes = _units(dataset, by)
    sizes = np.bincount(units)
    fractions: dict[Part, float] = {"test": test_fraction, "validation": validation_fraction}
    held_out = _units_of(dataset, units, test_chemsys)
    parts = _assign(dataset, units, sizes, seed, fractions, by, held_out)
    made = Split(
        by=by,
        seed=seed,
        validation_fraction=validation_fraction,
        test_fraction=test_fraction,
        test_chemsys=tuple(sorted(test_chemsys)),
        train=parts["train"],
        validation=parts["validation"],
        test=parts["test"],
        units=len(sizes),
        notes=notes,
        checksum=_checksum(dataset, parts),
    )
    # residuals may lack an energy (esnet.residual), whereas a data set on disk has one for every sample
    return made.without(dataset, ~np.isfinite(dataset.energies), why="they have no energy to learn")


def _check(by: str, seed: int, validation_fraction: float, test_fraction: float) -> None:
    if by not in get_args(SplitBy):
        raise SplitError(f"by={by!r}: must be one of {', '.join(get_args(SplitBy))}")
    if not isinstance(seed, int) or isinstance(seed, bool) or seed < 0:
        raise SplitError(f"seed={seed!r}: must be a whole number, 0 or above")
    for name, fraction in (("validation_fraction", validation_fraction), ("test_fraction", test_fraction)):
        if not 0 <= fraction < 1:
            raise SplitError(f"{name}={fraction!r}: must be 0 or above and below 1")
    if validation_fraction + test_fraction >= 1:
        raise SplitError(
            f"validation_fraction={validation_fraction} and test_fraction={test_fraction} leave nothing to train on: "
            "their sum must be below 1"
        )


def _units(dataset: Dataset, by: SplitBy) -> tuple[NDArray[np.intp], tuple[str, ...]]:
    """Return the unit number of each sample, and notes."""
    columns: list[Sequence[Any]] = [dataset.materials, dataset.digests]
    notes: tuple[str, ...] = ()
    if by == "chemsys":
        columns.append(dataset.chemsys)
    if by == "prototype":
        unknown = [material for material, name in zip(dataset.materials, dataset.prototypes, strict=True) if not name]
        if len(unknown) == len(dataset):
            raise SplitError(f"{dataset.path}: no sample has a known prototype; split by random or chemsys")
        if unknown:
            notes = (
                f"the prototype of {len(unknown)} of {len(dataset)} samples is unknown: each of their "
                f"{len(set(unknown))} materials counts as a separate prototype",
            )
        # an unknown prototype is represented by a unique tuple
        columns.append(
            [
                name or ("unknown", material)
                for material, name in zip(dataset.materials, dataset.prototypes, strict=True)
            ]
        )
    return _joined(columns), notes


def _units_of(dataset: Dataset, units: NDArray[np.intp], chemsys: Collection[str]) -> frozenset[int]:
    """Return the units with a sample of one of the chemical systems."""
    absent = sorted(set(chemsys) - set(dataset.chemsys))
    if absent:
        raise SplitError(
            f"{dataset.path} has no sample of {', '.join(absent)}; chemical systems are elements in alphabetical "
            "order, e.g. Al-Pd"
        )
    return frozenset(unit for unit, name in zip(units.tolist(), dataset.chemsys, strict=True) if name in chemsys)


def _joined(columns: Sequence[Sequence[Any]]) -> NDArray[np.intp]:
    """Group samples that share a value in any column, directly or via other samples; return their group numbers."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    n_samples = len(columns[0])
    # graph of samples and values: samples with a common value are two edges apart
    nodes: list[int] = []
    n_nodes = n_samples
    for column in columns:
        numbers: dict[Any, int] = {}
        for value in column:
            nodes.append(n_nodes + numbers.setdefault(value, len(numbers)))
        n_nodes += len(numbers)
    samples = np.tile(np.arange(n_samples), len(columns))
    edges = coo_array((np.ones(len(nodes), dtype=np.int8), (samples, nodes)), shape=(n_nodes, n_nodes))
    _, labels = connected_components(edges, directed=False)
    return np.unique(labels[:n_samples], return_inverse=True)[1]


def _assign(
    dataset: Dataset,
    units: NDArray[np.intp],
    sizes: NDArray[np.intp],
    seed: int,
    fractions: Mapping[Part, float],
    by: SplitBy,
    held_out: frozenset[int],
) -> dict[Part, NDArray[np.intp]]:
    """Assign each unit to the first part that it fits into, in an order that depends only on seed and names."""
    names: dict[int, str] = {}
    for unit, material in zip(units.tolist(), dataset.materials, strict=True):
        names[unit] = min(material, names.get(unit, material))
    order = sorted(names, key=lambda unit: hashlib.sha256(f"{seed}\0{names[unit]}".encode()).digest())
    n_samples = len(dataset)
    wanted = {part: max(1, round(fraction * n_samples)) for part, fraction in fractions.items() if fraction}
    have: dict[Part, int] = dict.fromkeys(PARTS, 0)
    part_of: dict[int, Part] = dict.fromkeys(held_out, "test")
    for unit in order:
        if unit in part_of:
            continue
        size = int(sizes[unit])
        # skip the part if the excess would be larger than the deficit
        fitting = (part for part, number in wanted.items() if have[part] + size - number <= number - have[part])
        part_of[unit] = next(fitting, "train")
        have[part_of[unit]] += size
    for part in ("train", *wanted):
        if not have[part]:
            _refuse_empty(part, by, n_samples, len(sizes), int(sizes.min()), fractions)
    chosen = np.array([PARTS.index(part_of[unit]) for unit in units.tolist()])
    return {part: np.flatnonzero(chosen == number) for number, part in enumerate(PARTS)}


def _refuse_empty(
    part: Part, by: SplitBy, n_samples: int, n_units: int, smallest: int, fractions: Mapping[Part, float]
) -> None:
    what = {"random": "materials", "chemsys": "chemical systems", "prototype": "prototypes"}[by]
    asked = ", ".join(f"{name}_fraction={fraction}" for name, fraction in fractions.items())
    raise SplitError(
        f"the {part} part would be empty with {asked}: there are {n_samples} samples in {n_units} units ({what} that "
        f"are not divided), of {smallest} or more samples each; give other fractions"
        + ("" if by == "random" else ", split by random,")
        + " or more data"
    )


def _checksum(dataset: Dataset, parts: Mapping[Part, NDArray[np.intp]]) -> str:
    digest = hashlib.sha256()
    for part in PARTS:
        names = sorted(dataset.ids[place] for place in parts[part])
        digest.update("\n".join([part, *names, ""]).encode())
    return digest.hexdigest()
