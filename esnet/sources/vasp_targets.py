"""Grouping of VASP runs by material, and the target formation energy of each DOS.

A relaxation leads from one crystal to another: a DOS of the first is an IS-DOS, a DOS of the last an RS-DOS, and the
energy of the last is the target of both. Runs are paired by their crystals, never by their formulas.
"""

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from esnet.dataset.sample import DosKind
from esnet.sources.vasp_crystals import CrystalIndex, deviation, vacuum_around
from esnet.sources.vasp_dos import Crystal, VaspRun
from esnet.sources.vasp_energies import VaspEnergyError

AMBIGUOUS = 0.01
"""Largest difference between energies of one relaxed crystal in the same state, eV/atom."""
_COPY = 1e-4
"""Largest deviation of a crystal from the file that it was copied from, A."""


class NoEnergyError(VaspEnergyError):
    """No run provides the energy of a relaxed crystal."""


@dataclass(frozen=True)
class Relaxation:
    """Relaxation from one crystal to another, both given by their numbers."""

    run: VaspRun
    initial: int
    final: int
    converged: bool


class Pairing:
    """Runs of a folder by crystal.

    Parameters
    ----------
    statics
        Runs with a fixed crystal, self-consistent or not.
    relaxations
        All relaxations, and whether each of them has converged.
    same_settings
        Files whose settings match those of the energies. Links by other relaxations are used only if there is no link
        by one of these.
    """

    def __init__(
        self,
        statics: Iterable[VaspRun],
        relaxations: Iterable[tuple[VaspRun, bool]],
        same_settings: frozenset[Path] | None = None,
    ) -> None:
        index = CrystalIndex()
        self.relaxations = [
            Relaxation(run, index.number(run, run.initial), index.number(run, run.final), converged)
            for run, converged in relaxations
        ]
        self.own = [link for link in self.relaxations if same_settings is None or link.run.path in same_settings]
        self.crystals = {run.path: index.number(run, run.final) for run in statics}
        self.crystals |= {link.run.path: link.final for link in self.relaxations}

    def kind(self, run: VaspRun) -> DosKind | None:
        """Return the kind of DOS of a run with a fixed crystal; None if no relaxation starts or ends there."""
        crystal = self.crystals[run.path]
        for links in (self.own, self.relaxations):
            if any(link.initial == crystal != link.final for link in links):
                return "is_dos"
            ends = [link for link in links if link.final == crystal and link.converged]
            if ends:
                return "is_dos" if all(_is_copy_of_initial(run, link) for link in ends) else "rs_dos"
        return None

    def leaves(self, run: VaspRun) -> bool:
        """Return whether a relaxation leads from a run's crystal to another."""
        return any(link.initial == self.crystals[run.path] != link.final for link in self.own)

    def ends(self, crystal: int) -> set[int]:
        """Return the final crystals of all chains of relaxations that start from this crystal."""
        reached, waiting = set[int](), [crystal]
        while waiting:
            place = waiting.pop()
            if place not in reached:
                reached.add(place)
                waiting += [link.final for link in self.relaxations if link.initial == place]
        left = {link.initial for link in self.own if link.initial != link.final}
        return {link.final for link in self.own if link.converged and link.final in reached} - left

    def stopped_from(self, crystal: int) -> VaspRun | None:
        """Return an unconverged relaxation of this crystal, or None."""
        return next((link.run for link in self.relaxations if link.initial == crystal and not link.converged), None)

    def cells(
        self, run: VaspRun, kind: DosKind, target: VaspRun | None = None
    ) -> tuple[Crystal | None, Crystal | None]:
        """Return the crystals before and after the relaxation that a DOS belongs to; None if unknown.

        The two may be given in different cells. If relaxations from several crystals end in the same one, or several
        crystals are reached from one, the crystal is ambiguous and thus unknown.

        Parameters
        ----------
        run
            Run that provides the DOS.
        kind
            Kind of the DOS.
        target
            Run that provides the energy of the relaxed crystal, if known.
        """
        crystal = self.crystals[run.path]
        if kind == "is_dos":
            initial = None if self._is_relaxed(run) else run.final  # a table may label the DOS of either is_dos
            return initial, target.final if target is not None else self._at(self.ends(crystal), last=True)
        mine = [link.initial for link in self.relaxations if link.run is run]
        return self._at(self._starts(mine[0] if mine else crystal), last=False), run.final

    def _is_relaxed(self, run: VaspRun) -> bool:
        """Return whether a run's crystal is certainly relaxed: it ends a relaxation, or starts none."""
        if any(link.run is run for link in self.relaxations):
            return True
        crystal = self.crystals[run.path]
        ends = any(link.final == crystal for link in self.relaxations)
        return ends and not any(link.initial == crystal for link in self.relaxations)

    def _starts(self, crystal: int) -> set[int]:
        """Return the initial crystals of all chains of relaxations that lead to this crystal."""
        reached, waiting = set[int](), [crystal]
        while waiting:
            place = waiting.pop()
            if place not in reached:
                reached.add(place)
                waiting += [link.initial for link in self.relaxations if link.final == place]
        return reached - {link.final for link in self.relaxations if link.initial != link.final}

    def _at(self, crystals: set[int], *, last: bool) -> Crystal | None:
        """Return the only crystal as given by a relaxation that starts from it or (``last``) ends in it, else None."""
        if len(crystals) != 1:
            return None
        (number,) = crystals
        found = (
            link.run.final if last else link.run.initial
            for link in self.relaxations
            if (link.final if last else link.initial) == number
        )
        return next(found, None)


def _is_copy_of_initial(run: VaspRun, link: Relaxation) -> bool:
    """Return whether a run has the start rather than the end of a relaxation in which the crystal hardly changed."""
    if run.final is None or link.run.initial is None or link.run.final is None or link.initial != link.final:
        return False
    return deviation(run.final, link.run.initial) + _COPY < deviation(run.final, link.run.final)


@dataclass
class Energies:
    """Total energies computed with one set of settings, including those of the elements.

    Attributes
    ----------
    pairing
        All runs, paired by crystal.
    runs
        Runs whose energies are used: static runs of relaxed crystals and converged relaxations with the same settings.
    references
        Element -> its run with the lowest energy.
    refused
        Runs of pure elements that are not crystals, with the reason.
    """

    pairing: Pairing
    runs: Mapping[Path, VaspRun]
    references: dict[str, VaspRun] = field(default_factory=dict)
    refused: dict[Path, str] = field(default_factory=dict)
    _at: dict[int, list[VaspRun]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        relaxed = {link.run.path for link in self.pairing.own if link.converged}
        # for one crystal, relaxations precede static runs, so that energies of one kind are compared with each other
        for run in sorted(self.runs.values(), key=lambda run: run.path not in relaxed):
            at = self._at.setdefault(self.pairing.crystals[run.path], [])
            if not at or (at[0].path in relaxed) == (run.path in relaxed):
                at.append(run)
        for runs in self._at.values():
            if len(runs[0].composition) == 1 and not self.pairing.leaves(runs[0]):
                self._add_references(runs)

    def _add_references(self, runs: list[VaspRun]) -> None:
        vacuum = vacuum_around(runs[0].final) if runs[0].final is not None else None
        if vacuum:
            self.refused |= dict.fromkeys((run.path for run in runs), vacuum)
            return
        (element,) = runs[0].composition
        for run in runs:
            known = self.references.get(element)
            if known is None or per_atom(run) < per_atom(known):
                self.references[element] = run

    def is_reference(self, run: VaspRun) -> bool:
        """Return whether a run is the reference of its element."""
        return any(reference is run for reference in self.references.values())

    def relaxed(self, run: VaspRun, kind: DosKind) -> VaspRun:
        """Return the run that provides the energy of the relaxed crystal for a DOS.

        Raises
        ------
        VaspEnergyError
            If there is none, or there are several that contradict each other; the message says which.
        """
        crystal = self.pairing.crystals[run.path]
        ends = self.pairing.ends(crystal) if kind == "is_dos" else {crystal}
        if not ends and (stopped := self.pairing.stopped_from(crystal)):
            raise VaspEnergyError(f"{run.path}: the relaxation of its crystal, {stopped.path}, did not converge")
        found = [target for end in sorted(ends or {crystal}) for target in self._at.get(end, [])]
        links = {link.run.path for link in self.pairing.own}
        if kind == "rs_dos" and run.path in self.runs and not any(target.path in links for target in found):
            return run
        if not found:
            raise NoEnergyError(
                f"{run.path}: no energy of its relaxed crystal among the runs: no usable relaxation begins or ends "
                "with its crystal, and no static run of it has the settings of the others; give the formation energy "
                "in a table (--energies)"
            )
        lowest, highest = min(found, key=per_atom), max(found, key=per_atom)
        if per_atom(highest) - per_atom(lowest) > AMBIGUOUS:
            raise VaspEnergyError(
                f"{run.path}: ambiguous: {lowest.path} ({per_atom(lowest):.4f} eV/atom) and {highest.path} "
                f"({per_atom(highest):.4f}) are both of its relaxed crystal; give the formation energy in a table "
                "(--energies)"
            )
        return lowest

    def contradictions(self) -> Iterator[list[VaspRun]]:
        """Yield the runs of each crystal that has several different energies."""
        for runs in self._at.values():
            energies = [per_atom(run) for run in runs]
            if max(energies) - min(energies) > AMBIGUOUS:
                yield runs

    def formation_energy(self, run: VaspRun) -> float:
        """Return the formation energy of the structure of a run, eV/atom.

        Raises
        ------
        VaspEnergyError
            If elements have no reference; the message names them.
        """
        if missing := sorted(set(run.composition) - set(self.references)):
            refused = [path for path in self.refused if self.runs[path].structure.symbols[0] in missing]
            why = f" ({refused[0]} {self.refused[refused[0]]})" if refused else ""
            raise VaspEnergyError(
                f"{run.path}: no run of pure {', '.join(missing)} in the folder to refer its formation energy to{why}; "
                "add one of the element's crystal, or give the energies in a table (--energies)"
            )
        elements = sum(count * per_atom(self.references[element]) for element, count in run.composition.items())
        return (per_atom(run) * run.n_sites - elements) / run.n_sites


def per_atom(run: VaspRun) -> float:
    """Return the total energy of a run, eV/atom; NaN if missing."""
    return math.nan if run.energy is None else run.energy / run.n_sites
