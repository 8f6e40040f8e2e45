"""A folder of VASP runs as a source of samples.

Every subfolder with a vasprun.xml or a vaspout.h5 (see `esnet.sources.vasp_find.find_runs`) is one run. The kind of
calculation is determined from the tags of the run, and runs are assigned to materials by their crystals.
"""

import itertools
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path

from esnet.dataset.sample import DosKind, Sample
from esnet.representation.features import Representation
from esnet.sources.vasp_dos import VaspRun
from esnet.sources.vasp_energies import EnergyEntry, EnergyTable, VaspEnergyError
from esnet.sources.vasp_find import find_runs
from esnet.sources.vasp_report import FolderReport, Problems, VaspFolderError
from esnet.sources.vasp_runs import FolderRuns
from esnet.sources.vasp_settings import SettingsGroup
from esnet.sources.vasp_targets import Energies, NoEnergyError, Pairing, per_atom

__all__ = ["FolderReport", "VaspFolderError", "find_runs", "read_vasp_folder"]

_ADD_A_CRYSTAL = "add a run of the element's crystal, or give the formation energies in a table (--energies)"
_MOST_FORCE, _MOST_STRESS = 0.3, 30.0
"""Largest force (eV/A) and stress (kB) in a relaxed crystal; relaxing them further would gain a few meV/atom."""
_OTHER_SETTINGS = "other settings"
_NAMED = 3
_MOST_OF_ONE_ENTRY = 30
"""Number of runs per table entry that are compared with each other."""

_Entry = tuple[EnergyEntry, Path]


def read_vasp_folder(
    folder: Path | str,
    *,
    representation: Representation,
    energies: Path | str | None = None,
    pattern: str = "*",
    is_pattern: str | None = None,
    unconverged: bool = False,
    strict: bool = False,
    report: FolderReport | None = None,
) -> Iterator[Sample]:
    """Yield samples from the runs in a folder, in the order of their paths.

    The DOS is taken from static runs and from non-self-consistent runs on a mesh; it is taken from a relaxation only if
    its grid is fine and no other run has the DOS of its crystal. A DOS of the crystal at the start of a relaxation is
    an IS-DOS, one of the crystal at its end an RS-DOS. If the folder has no relaxations, static runs are assumed to be
    of relaxed crystals; otherwise a static run that no relaxation starts from or ends in is left out, unless it is the
    reference of its element.

    Parameters
    ----------
    folder
        Folder to search, with all folders below it and the targets of links.
    representation
        Representation of the features.
    energies
        CSV or JSON file with the formation energies of the relaxed crystals, eV/atom (see
        `esnet.sources.vasp_energies.EnergyTable`). If None, they are computed from the total energies of the relaxed
        crystals, relative to the lowest-energy run of each pure element in the folder, within the largest set of runs
        that share their settings (`esnet.sources.vasp_settings`). They contain no corrections, unlike the energies of
        the Materials Project, so the two differ.
    pattern
        Pattern that the path of a run inside the folder must match, with ``*``, ``?`` and ``[...]`` (``*`` also matches
        ``/``).
    is_pattern
        Pattern for static runs of unrelaxed structures (``is_dos``); all others are of relaxed ones (``rs_dos``),
        unless the table states the kind. If None, the kind is derived from the crystals.
    unconverged
        Whether to use runs that did not converge.
    strict
        Whether to raise an error for a run that cannot be used, instead of reporting it and leaving it out.
    report
        Report to fill. If None, omitted runs are logged as warnings.

    Yields
    ------
    Sample
        One sample per DOS. Its material is the one given in the table, or else its name in the table. If these do not
        tell which IS-DOS and RS-DOS belong to one crystal (there is no table, or an entry applies to only one of the
        two kinds), the material is the reduced formula. Distinct crystals may then count as one material, but no split
        divides a material.

    Raises
    ------
    VaspFolderError
        If there is no run in the folder; with ``strict``, for the first run that cannot be used, naming the file.
    VaspEnergyError
        If the table cannot be read; with ``strict``, if the energy of a run is not comparable with the others.
    """
    table = EnergyTable.read(Path(energies)) if energies is not None else None
    problems = Problems(Path(folder), strict, report)
    files = find_runs(Path(folder), pattern=pattern, report=problems.found)
    problems.found.n_runs = len(files)
    runs = FolderRuns(Path(folder), representation, is_pattern, unconverged, problems, by_table=table is not None)
    runs.read(files)
    yield from _samples_by_table(runs, table) if table else _samples_by_elements(runs)
    for element, without in runs.without_moment.items():
        problems.note(
            f"{element} has no magnetic moment in {_first(without)}; if that is not intended, check ISPIN and MAGMOM"
        )


def _samples_by_elements(runs: FolderRuns) -> Iterator[Sample]:
    """Yield samples with formation energies computed from the total energies of the runs."""
    group = SettingsGroup.largest(
        run for file, run in runs.runs.items() if file not in runs.stopped and runs.has_energy(file)
    )
    comparable = {file for file, run in runs.runs.items() if group.difference(run, numerical=False) is None}
    pairing = runs.pairing(frozenset(runs.runs[file].path for file in comparable))
    energies = Energies(
        pairing,
        {
            run.path: run
            for file, run in runs.runs.items()
            if file in comparable - set(runs.stopped)
            and runs.has_energy(file)
            and group.difference(run) is None
            and (runs.kinds[file] == "relaxation" or runs.kind(file, pairing) != "is_dos")
        },
    )
    runs.problems.found.references = {
        element: (run.energy / run.n_sites, runs.inside(run.path))
        for element, run in sorted(energies.references.items())
        if run.energy is not None
    }
    for crystal in energies.contradictions():
        which = _first([f"{runs.inside(run.path)} ({per_atom(run):.4f} eV/atom)" for run in crystal])
        runs.problems.note(f"one crystal, several energies: {which}")
    for file, run in runs.runs.items():
        if file in runs.stopped:
            continue
        if file not in comparable:
            other = str(group.difference(run, numerical=False))
            runs.leave_out(file, _OTHER_SETTINGS, other, error=VaspEnergyError)
            continue
        if vacuum := energies.refused.get(run.path):
            runs.leave_out(file, "no crystal", f"{vacuum}; {_ADD_A_CRYSTAL}")
            continue
        if runs.kinds[file] == "relaxation" and run.path not in energies.runs:
            runs.count_without_dos(file, "structure only")
            continue
        reason = "not known to be relaxed"
        try:
            kind = _kind_or_refuse(runs, file, pairing, energies)
            reason = "no energy of the relaxed crystal"
            target = energies.relaxed(run, kind)
            reason = "no reference of an element"
            energy = energies.formation_energy(target)
        except VaspEnergyError as error:
            # its own energy would be the target if its settings did not differ
            if isinstance(error, NoEnergyError) and runs.has_energy(file) and (differs := group.difference(run)):
                runs.leave_out(file, _OTHER_SETTINGS, differs, error=VaspEnergyError)
            else:
                runs.leave_out(file, reason, str(error), error=VaspEnergyError)
            continue
        yield from runs.sample(file, kind, energy, pairing, source=runs.inside(target.path), target=target)


def _samples_by_table(runs: FolderRuns, table: EnergyTable) -> Iterator[Sample]:
    """Yield samples with formation energies from a table."""
    pairing = runs.pairing(None)
    found = {file: known for file in runs.runs if (known := table.find(file)) is not None}
    stated = {
        file: entry.kind or runs.kind(file, pairing) for file, (entry, _) in found.items() if file not in runs.stopped
    }
    kinds: dict[Path, DosKind] = {file: kind or "rs_dos" for file, kind in stated.items()}
    for file, kind in stated.items():
        if kind is None and (moving := _moving(runs.runs[file])):
            runs.problems.note(
                f"{file.as_posix()}: taken as a relaxed crystal (RS-DOS), although {moving}; if it is not relaxed, "
                f"say is_dos in a column kind of {table.path.name}, or give --is-pattern"
            )
    others = _several_crystals(runs, found, kinds, pairing)
    kinds_of: dict[str, set[DosKind]] = {}
    for file, kind in kinds.items():
        if runs.kinds[file] != "relaxation" or found[file][0].kind:
            kinds_of.setdefault(found[file][0].name, set()).add(kind)
    all_kinds = set[DosKind]().union(*kinds_of.values())
    for file in runs.runs:
        if file in runs.stopped:
            continue
        if file not in found:
            runs.leave_out(file, "no entry in the table", f"{table.path.name} has no entry for it")
            continue
        entry, place = found[file]
        if other := others.get(file):
            why = f"{entry.name!r} of {table.path.name} is also about {other.as_posix()}, which is another crystal"
            runs.leave_out(file, "one entry for several crystals", f"{why}; give each the path of its folder")
            continue
        if runs.kinds[file] == "relaxation" and entry.kind == "is_dos":
            runs.problems.note(f"{file.as_posix()}: {table.path.name} calls the DOS of a relaxation is_dos")
        named = entry.material or (entry.name if kinds_of.get(entry.name) == all_kinds else "")
        yield from runs.sample(
            file,
            kinds[file],
            entry.energy,
            pairing,
            material=named,
            prototype=entry.prototype,
            source=table.path.name,
            asked_for=entry.kind is not None and place in (file, file.parent),
        )
    named_runs = {about[0].name for file in runs.files if (about := table.find(file))}
    for name in sorted(set(table.entries) - named_runs):
        why = f"is in {table.path.name}, but there is no such run"
        runs.problems.add(Path(name), "no run for an entry of the table", why)


def _kind_or_refuse(runs: FolderRuns, file: Path, pairing: Pairing, energies: Energies) -> DosKind:
    run, kind = runs.runs[file], runs.kind(file, pairing)
    if kind == "rs_dos" and pairing.leaves(run) and runs.kinds[file] != "relaxation":
        raise VaspEnergyError(
            f"{run.path}: does not match {runs.is_pattern!r} (--is-pattern), but a relaxation begins with its crystal; "
            "without a pattern, the crystals determine which runs are relaxed"
        )
    if kind is not None:
        return kind
    if (pairing.relaxations or runs.stopped) and not energies.is_reference(run):
        raise VaspEnergyError(
            f"{run.path}: no relaxation begins or ends with its crystal, so it is unknown whether it is relaxed; "
            "specify the unrelaxed ones with a pattern (--is-pattern), or give formation energies in a table "
            "(--energies)"
        )
    if (moving := _moving(run)) and not energies.is_reference(run):
        raise VaspEnergyError(f"{run.path}: {moving}, so its energy is not that of a relaxed crystal")
    return "rs_dos"


def _several_crystals(
    runs: FolderRuns, found: Mapping[Path, _Entry], kinds: Mapping[Path, DosKind], pairing: Pairing
) -> dict[Path, Path]:
    """Map each run that shares a table entry with a run of another material to that run."""
    sharing: defaultdict[str, list[Path]] = defaultdict(list)
    for file in kinds:
        if runs.kinds[file] != "relaxation":
            sharing[found[file][0].name].append(file)
    others: dict[Path, Path] = {}
    for files in sharing.values():
        for file, other in itertools.permutations(files[:_MOST_OF_ONE_ENTRY], 2):
            first, second = runs.runs[file], runs.runs[other]
            crystals = pairing.crystals[first.path], pairing.crystals[second.path]
            differ = first.formula != second.formula or found[file][1] != found[other][1]
            if kinds[file] == kinds[other] and crystals[0] != crystals[1]:
                differ |= kinds[file] == "rs_dos" or pairing.ends(crystals[0]) != pairing.ends(crystals[1])
            if differ:
                others |= dict.fromkeys(files, file) | {file: other}
    return others


def _moving(run: VaspRun) -> str | None:
    """Return the force or stress that shows a static run to be unrelaxed; None if there is none or it is unknown."""
    if run.largest_force is not None and not run.largest_force <= _MOST_FORCE:
        return f"the largest force is {run.largest_force:.2f} eV/A (at most {_MOST_FORCE:g} in a crystal at rest)"
    if run.largest_stress is not None and not run.largest_stress <= _MOST_STRESS:
        return f"the largest stress is {run.largest_stress:.0f} kB (at most {_MOST_STRESS:g} in a crystal at rest)"
    return None


def _first(names: list[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more
