"""Generate candidates: every prototype with every ordered choice of distinct elements, rescaled, each crystal once.

Measured on 2026-11-23, one core of a shared 2-core machine: 13,475 candidates of 50 elements in B1, B2, B3, L1_2, D0_3,
A15 and C15 in 41 s (328 candidates/s); the 30 of the quickstart in 0.2 s.
"""

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import permutations
from pathlib import Path
from typing import Protocol

import numpy as np
from pymatgen.analysis.structure_matcher import StructureMatcher
from pymatgen.core import Structure

from campaign.candidates.elements import BUILT_IN
from campaign.candidates.packed import PackedCrystal
from campaign.candidates.prototypes import shipped_prototypes
from campaign.candidates.structure_files import read_structure_folder
from campaign.candidates.structure_hash import candidate_id, primitive_cell, space_group_number
from campaign.candidates.usual_volume import usual_volume, volume_of_elements
from campaign.candidates.volumes import Neighbours, find_neighbours

__all__ = ["Candidate", "Prototype", "bootstrap_sample", "generate", "prototypes", "read_structure_folder"]

logger = logging.getLogger(__name__)


class CandidateSettings(Protocol):
    """Settings of the section ``candidates``."""

    @property
    def prototypes(self) -> Sequence[str] | None: ...
    @property
    def structures(self) -> Path | None: ...
    @property
    def elements(self) -> Sequence[str] | None: ...
    @property
    def max_candidates(self) -> int | None: ...


class GeneratedFrom(Protocol):
    """Settings of a campaign file that determine its candidates."""

    @property
    def name(self) -> str: ...
    @property
    def candidates(self) -> CandidateSettings: ...
    @property
    def built_in(self) -> int: ...
    @property
    def settings_hash(self) -> str: ...


@dataclass(frozen=True, kw_only=True)
class Prototype:
    """A crystal whose elements are replaced.

    Attributes
    ----------
    name
        Strukturbericht name of a shipped prototype, or the stem of the user's file.
    source
        ``shipped``, or ``user`` for a file of the campaign's folder ``candidates.structures``.
    structure
        Symmetry-refined primitive cell of the prototype compound.
    elements
        Its distinct elements, in the order in which substitutions are written.
    space_group
        Number in International Tables A.
    volume_factor
        Volume relative to that of the atoms in their elements, for compounds of metals; 1 for the user's structures;
        None: determined by neighbour distances for metals too.
    """

    name: str
    source: str
    structure: Structure
    elements: tuple[str, ...]
    space_group: int
    volume_factor: float | None = 1.0

    @cached_property
    def neighbours(self) -> Neighbours:
        """Neighbours of the sites of `structure`."""
        return find_neighbours(self.structure)


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """An unrelaxed crystal to screen.

    Attributes
    ----------
    id
        Built from campaign, crystal and calculation settings: the same candidate always has the same id.
    formula
        Reduced formula.
    chemsys
        Elements in alphabetical order, e.g. ``Al-Pd``.
    prototype
        Name of the prototype; for a crystal used as given its structure type, e.g. ``AB_cP2_221``.
    parent
        ``prototype``, ``source`` and ``substitution`` (element of the prototype -> element of the candidate); for a
        crystal used as given, ``source``, ``name``, ``file`` and ``columns``.
    crystal
        The primitive cell if made from a prototype, otherwise the cell as given.
    """

    id: str
    formula: str
    chemsys: str
    prototype: str
    parent: Mapping[str, object]
    crystal: PackedCrystal

    @property
    def structure(self) -> Structure:
        """The crystal as a pymatgen Structure, lengths in A."""
        return self.crystal.structure()

    @property
    def n_sites(self) -> int:
        """Number of atoms in its cell."""
        return len(self.crystal)


def prototypes(section: CandidateSettings) -> list[Prototype]:
    """Return the prototypes of a campaign: shipped ones first, then the user's files sorted by name.

    Raises
    ------
    StructureFileError
        If a user's folder or file cannot be used.
    ValueError
        If a user's file has the name of a shipped prototype that is also requested.
    """
    found = []
    for name in section.prototypes or ():
        shipped = shipped_prototypes()[name]
        found.append(
            Prototype(
                name=name,
                source="shipped",
                structure=shipped.structure(),
                elements=shipped.elements,
                space_group=shipped.space_group,
                volume_factor=shipped.volume_factor,
            )
        )
    if section.structures is not None:
        taken = {prototype.name for prototype in found}
        for name, structure in read_structure_folder(section.structures):
            if name in taken:
                raise ValueError(f"{section.structures}: {name} is the name of a shipped prototype; rename the file")
            found.append(_user_prototype(name, structure))
    return found


def _user_prototype(name: str, structure: Structure) -> Prototype:
    primitive = primitive_cell(structure)
    elements = tuple(dict.fromkeys(site.specie.symbol for site in primitive))
    return Prototype(
        name=name, source="user", structure=primitive, elements=elements, space_group=space_group_number(primitive)
    )


def substitute(prototype: Prototype, elements: Sequence[str], *, built_in: int = BUILT_IN) -> Structure:
    """Replace a prototype's elements and rescale its cell, keeping its shape (c/a, angles, coordinates).

    Compounds of metals: the new volume is ``volume_factor`` times the sum of the atomic volumes in the elements
    (Vegard's law for volumes; E.-A. Zen, Am. Mineral. 41, 523 (1956)). `volume_factor` is 1 for close-packed
    arrangements, which most alloys are, and larger for the open ones among the shipped prototypes (see
    `prototypes.yaml`). Compounds with a nonmetal or metalloid: the volume follows from neighbour distances
    (`campaign.candidates.volumes`). The prototype compound's own volume is never used, so that an ionic or covalent
    compound does not determine the size of an alloy.

    Limits: strongly bound alloys are 5 to 10 % smaller; errors by class of compound: docs/reference/prototypes.md.
    Compounds of noble gases and of elements beyond bismuth have the volumes of their elements. The IS-DOS is computed
    in this unrelaxed cell on purpose (IS2RE); a relaxation corrects it.

    Parameters
    ----------
    prototype
        The prototype crystal.
    elements
        New elements, in the order of ``prototype.elements``.
    built_in
        Version of the built-in data; version 1 uses the volumes of the elements for all compounds.

    Returns
    -------
    Structure
        The substituted crystal, lengths in A.
    """
    replaced = dict(zip(prototype.elements, elements, strict=True))
    species = [replaced[site.specie.symbol] for site in prototype.structure]
    factor = prototype.volume_factor
    if built_in == 1:
        volume = (factor or 1.0) * volume_of_elements(species)
    else:
        volume = usual_volume(
            prototype.structure, species, volume_factor=factor, neighbours=lambda: prototype.neighbours
        )
    return Structure(prototype.structure.lattice.scale(volume), species, prototype.structure.frac_coords)


def generate(spec: GeneratedFrom) -> Iterator[Candidate]:
    """Yield the candidates of a campaign, each crystal once, always in the same order.

    For each prototype, these are all ordered assignments of distinct elements to its species, in the order of the
    campaign file. Duplicates are skipped: crystals with the same id, or matched by pymatgen's StructureMatcher (default
    tolerances) to an earlier one of the same reduced formula, number of sites and space group. Comparing within such
    buckets only keeps the effort proportional to the number of candidates.

    Raises
    ------
    StructureFileError
        If a user's folder or file cannot be used.
    """
    # candidates are already primitive cells
    matcher = StructureMatcher(primitive_cell=False)
    buckets: dict[tuple[str, int, int], list[Candidate]] = {}
    ids: set[str] = set()
    settings_hash = spec.settings_hash
    limit = spec.candidates.max_candidates
    for prototype in prototypes(spec.candidates):
        for elements in permutations(spec.candidates.elements or (), len(prototype.elements)):
            if limit is not None and len(ids) >= limit:
                logger.info("campaign %s: stopped at max_candidates = %d", spec.name, limit)
                return
            candidate = _candidate(spec, settings_hash, prototype, elements)
            if candidate.id in ids:
                continue
            key = (candidate.formula, candidate.n_sites, prototype.space_group)
            bucket = buckets.setdefault(key, [])
            if _known(candidate, bucket, matcher):
                continue
            ids.add(candidate.id)
            bucket.append(candidate)
            yield candidate


def _candidate(spec: GeneratedFrom, settings_hash: str, prototype: Prototype, elements: Sequence[str]) -> Candidate:
    structure = substitute(prototype, elements, built_in=spec.built_in)
    composition = structure.composition
    return Candidate(
        id=candidate_id(spec.name, structure, settings_hash, refined=True),
        formula=composition.reduced_formula,
        chemsys=composition.chemical_system,
        prototype=prototype.name,
        parent={
            "prototype": prototype.name,
            "source": prototype.source,
            "substitution": dict(zip(prototype.elements, elements, strict=True)),
        },
        crystal=PackedCrystal.of(structure),
    )


def _known(candidate: Candidate, bucket: Sequence[Candidate], matcher: StructureMatcher) -> bool:
    return any(matcher.fit(candidate.structure, other.structure) for other in bucket)


def bootstrap_sample(candidates: Sequence[Candidate], size: int, seed: int) -> tuple[str, ...]:
    """Return the ids of the candidates relaxed first, to train on.

    The sample is spread evenly: candidates are chosen one by one from the prototype chosen least often so far,
    preferring those whose elements were chosen least often; the seed breaks ties. Every prototype is thus used before
    any is used twice, and elements are covered evenly.

    Parameters
    ----------
    candidates
        All candidates of the campaign.
    size
        Number to choose; all candidates if there are fewer.
    seed
        The campaign's seed.
    """
    n = len(candidates)
    prototype_names = sorted({candidate.prototype for candidate in candidates})
    symbols = sorted({symbol for candidate in candidates for symbol in candidate.chemsys.split("-")})
    of_prototype = np.array([prototype_names.index(candidate.prototype) for candidate in candidates], dtype=int)
    contains = np.zeros((n, len(symbols)))  # fraction, so that binaries and ternaries weigh the same
    column = {symbol: position for position, symbol in enumerate(symbols)}
    for row, candidate in enumerate(candidates):
        present = [column[symbol] for symbol in candidate.chemsys.split("-")]
        contains[row, present] = 1 / len(present)
    tie_break = np.random.default_rng(seed).permutation(n)
    taken_prototypes = np.zeros(len(prototype_names))
    taken_elements = np.zeros(len(symbols))
    free = np.ones(n, dtype=bool)
    chosen: list[str] = []
    for _ in range(min(size, n)):
        left = np.flatnonzero(free)
        order = np.lexsort(
            # rounded, so that equal sums of thirds tie
            (tie_break[left], (contains[left] @ taken_elements).round(9), taken_prototypes[of_prototype[left]])
        )
        pick = left[order[0]]
        free[pick] = False
        taken_prototypes[of_prototype[pick]] += 1
        taken_elements += contains[pick]
        chosen.append(candidates[pick].id)
    return tuple(chosen)
