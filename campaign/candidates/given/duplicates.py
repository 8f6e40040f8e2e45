"""Find duplicate crystals by canonical form, and by StructureMatcher among crystals of the same kind.

Comparing only within buckets of one formula, number of sites and space group keeps the effort proportional to the
number of crystals.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass

from pymatgen.analysis.structure_matcher import StructureMatcher
from pymatgen.core import Structure

from campaign.candidates.given.crystals import GivenCrystal
from campaign.candidates.given.reading import make_pool, usable_processes
from campaign.candidates.packed import PackedCrystal

_ALONE = 3000
"""Number of comparisons up to which one process is faster than starting more."""
_TASK = 20
"""Number of buckets given to a process at a time."""

Key = tuple[str, int, int]


@dataclass(frozen=True, kw_only=True)
class KnownCrystal:
    """A crystal that is already a candidate.

    Attributes
    ----------
    label
        Its name in messages.
    structure_hash
        The part of its id that identifies the crystal.
    space_group, primitive
        As in `GivenCrystal`.
    """

    label: str
    structure_hash: str
    space_group: int
    primitive: PackedCrystal


def find_duplicates(
    given: Sequence[GivenCrystal],
    known: Iterable[KnownCrystal] = (),
    *,
    digits: int,
    on_progress: Callable[[int, int], None] | None = None,
) -> dict[int, str]:
    """Find the crystals that are the same as a known one or as an earlier one of the same list.

    Parameters
    ----------
    given
        Crystals to check.
    known
        Existing candidates.
    digits
        Digits of a structure's hash by which crystals are distinguished.
    on_progress
        Called with the number of crystals compared so far, and the total.

    Returns
    -------
    dict of str
        For the index of each duplicate in `given`, the name of the crystal that it equals.
    """
    by_hash: dict[str, str] = {}
    buckets: dict[Key, list[tuple[int, str, PackedCrystal]]] = {}
    for each in known:
        by_hash.setdefault(each.structure_hash[:digits], each.label)
        buckets.setdefault(_key(each), []).append((-1, each.label, each.primitive))
    duplicates: dict[int, str] = {}
    for place, crystal in enumerate(given):
        form = crystal.structure_hash[:digits]
        if form in by_hash:
            duplicates[place] = by_hash[form]
            continue
        by_hash[form] = crystal.name
        buckets.setdefault(_key(crystal), []).append((place, crystal.name, crystal.primitive))
    several = [bucket for bucket in buckets.values() if len(bucket) > 1 and bucket[-1][0] >= 0]
    done = 0
    total = sum(map(len, several))
    for buckets_done, found in _compared(several):
        duplicates |= found
        done += buckets_done
        if on_progress is not None:
            on_progress(done, total)
    # a crystal equal to a duplicate equals the crystal that is kept
    stays = {given[place].name: name for place, name in duplicates.items()}
    return {place: stays.get(name, name) for place, name in duplicates.items()}


def _key(crystal: GivenCrystal | KnownCrystal) -> Key:
    composition = crystal.primitive.composition()
    formula = " ".join(f"{symbol}{composition[symbol]}" for symbol in sorted(composition))
    return formula, len(crystal.primitive), crystal.space_group


Bucket = list[tuple[int, str, PackedCrystal]]


def _compared(buckets: Sequence[Bucket]) -> Iterable[tuple[int, Mapping[int, str]]]:
    """Yield the number of compared crystals and the duplicates among them, in arbitrary order."""
    processes = usable_processes()
    if processes == 1 or sum(len(bucket) ** 2 / 2 for bucket in buckets) < _ALONE:
        for bucket in buckets:
            yield len(bucket), compare([bucket])
        return
    tasks = [list(buckets[first : first + _TASK]) for first in range(0, len(buckets), _TASK)]
    done: list[int] = []
    try:
        with make_pool(processes) as pool:
            for number, found in enumerate(pool.map(compare, tasks)):
                yield sum(map(len, tasks[number])), found
                done.append(number)
    except BrokenProcessPool:
        for task in tasks[len(done) :]:
            yield sum(map(len, task)), compare(task)


def compare(buckets: Sequence[Bucket]) -> dict[int, str]:
    """Return the crystals in each bucket that match an earlier one within pymatgen's default tolerances."""
    # the cells are already primitive, reduced once instead of for each comparison
    matcher = StructureMatcher(primitive_cell=False)
    found: dict[int, str] = {}
    for bucket in buckets:
        kept: list[tuple[str, Structure]] = []
        for place, name, packed in bucket:
            structure = packed.structure().get_reduced_structure()
            if place >= 0:
                same = next(
                    (n for n, other in kept if matcher.fit(other, structure, skip_structure_reduction=True)), None
                )
                if same is not None:
                    found[place] = same
                    continue
            kept.append((name, structure))
    return found
