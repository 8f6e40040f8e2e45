"""A folder of VASP runs as a source of samples.

Every folder below it with a vasprun.xml or a vaspout.h5 (see `esnet.sources.vasprun.OUTPUT_NAMES`) is one run.
"""

import fnmatch
import logging
import math
import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import reduce
from pathlib import Path
from typing import Any

from esnet.dataset.sample import DatasetError, DosKind, Sample
from esnet.representation.features import Representation
from esnet.sources.vasp_dos import VaspDos, VaspReadError, VaspRun
from esnet.sources.vasp_energies import ElementalReferences, EnergyTable, VaspEnergyError
from esnet.sources.vasprun import OUTPUT_NAMES, read_dos, read_run

logger = logging.getLogger(__name__)

_NOT_CONVERGED = "is not converged (electronic steps reached NELM, or ionic steps NSW)"


class VaspFolderError(DatasetError):
    """A folder of VASP runs that gives no samples, or, when reading strictly, a run that gives none."""


@dataclass
class FolderReport:
    """What became of a folder's runs; filled while the samples are read.

    Attributes
    ----------
    n_runs
        Runs found.
    n_samples
        Runs that gave a sample.
    problems
        For each run that gave none, and each entry of the table that is about no run: which, and why.
    references
        Element -> energy (eV/atom) and file that formation energies were computed against; empty with a table.
    """

    n_runs: int = 0
    n_samples: int = 0
    problems: list[tuple[str, str]] = field(default_factory=list)
    references: dict[str, tuple[float, str]] = field(default_factory=dict)


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
    """Read the runs in a folder, in the order of their paths.

    Parameters
    ----------
    folder
        Is searched with all folders below it; links to folders are not followed.
    representation
        How to make the features.
    energies
        CSV or JSON file with the formation energies of the relaxed crystals, eV/atom (see
        `esnet.sources.vasp_energies.EnergyTable`). None: computed from the total energies of the runs, against the
        lowest run of each pure element in the folder; all runs must then have the same functional, cutoff, and POTCAR
        and U for each element. No corrections are made: the energies of the Materials Project are corrected ones and
        differ.
    pattern
        Only runs whose path inside the folder matches, with ``*``, ``?`` and ``[...]`` (``*`` matches ``/`` too).
    is_pattern
        Runs whose path matches are of unrelaxed structures (``is_dos``), all others of relaxed ones (``rs_dos``),
        unless the table says. Without a table, an IS run takes its energy from the lowest RS run of the same formula
        in the same parent folder.
    unconverged
        Whether runs that did not converge are used.
    strict
        Whether a run that cannot be used ends the reading; otherwise it is reported and left out.
    report
        Is filled. None: what is left out is logged as warnings.

    Yields
    ------
    Sample
        Its material is what the table says, else the name in the table. Where that does not say which IS-DOS and
        RS-DOS are of one crystal (there is no table, or there are runs of both kinds and the entry is about one of
        them), it is the reduced formula: too many are then taken for one material, but no split divides one.

    Raises
    ------
    VaspFolderError
        If there is no run in the folder; with ``strict``, for the first run that cannot be used. It names the file.
    VaspEnergyError
        If the table cannot be read, or the runs' energies cannot be compared with each other.
    """
    reader = _FolderReader(Path(folder), representation, is_pattern, unconverged, strict, report)
    table = EnergyTable.read(Path(energies)) if energies is not None else None
    files = find_runs(Path(folder), pattern=pattern)
    reader.found.n_runs = len(files)
    yield from reader.samples_by_table(files, table) if table else reader.samples_by_elements(files)


def find_runs(folder: Path, *, pattern: str = "*") -> list[Path]:
    """Return the output file of each run, as paths inside the folder, sorted.

    Raises
    ------
    VaspFolderError
        If the folder is absent or has no run.
    """
    if not folder.is_dir():
        raise VaspFolderError(f"{folder}: there is no such folder")
    files = []
    for place, _, names in os.walk(folder, onerror=_refuse_unreadable):
        output = next((name for name in OUTPUT_NAMES if name in names), None)
        if output is not None:
            files.append((Path(place) / output).relative_to(folder))
    chosen = sorted(file for file in files if fnmatch.fnmatchcase(file.as_posix(), pattern))
    if not chosen:
        raise VaspFolderError(
            f"{folder}: no run found: no {OUTPUT_NAMES[0]} or vaspout.h5 (plain, .gz, .bz2, .xz, .lzma or .zst) "
            + (f"whose path matches {pattern!r} ({len(files)} others)" if files else "in any folder below it")
        )
    return chosen


def _refuse_unreadable(error: OSError) -> None:
    raise VaspFolderError(f"{error.filename}: the folder cannot be read ({error.strerror})") from error


@dataclass
class _FolderReader:
    folder: Path
    representation: Representation
    is_pattern: str | None
    unconverged: bool
    strict: bool
    report: FolderReport | None
    found: FolderReport = field(init=False)

    def __post_init__(self) -> None:
        self.found = self.report if self.report is not None else FolderReport()

    def samples_by_table(self, files: list[Path], table: EnergyTable) -> Iterator[Sample]:
        entries = {file: entry for file in files if (entry := table.find(file)) is not None}
        kinds_of: dict[str, set[DosKind]] = {}
        for file, entry in entries.items():
            kinds_of.setdefault(entry.name, set()).add(entry.kind or self._kind(file))
        kinds = set().union(*kinds_of.values())
        for file in files:
            if file not in entries:
                self._problem(file, f"{table.path.name} has no entry for it")
                continue
            entry = entries[file]
            named = entry.material or (entry.name if kinds_of[entry.name] == kinds else "")
            yield from self._sample(
                file,
                entry.kind or self._kind(file),
                entry.energy,
                material=named,
                prototype=entry.prototype,
                source=table.path.name,
            )
        for name in sorted(set(table.entries) - set(kinds_of)):
            self._problem(Path(name), f"is in {table.path.name}, but there is no such run")

    def samples_by_elements(self, files: list[Path]) -> Iterator[Sample]:
        runs = self._comparable_runs(files)
        references = ElementalReferences.of(run for file, run in runs.items() if self._kind(file) == "rs_dos")
        self.found.references = {
            element: (energy, self._inside(references.sources[element]))
            for element, energy in sorted(references.energies.items())
        }
        relaxed = self._lowest_relaxed(runs)
        for file, run in runs.items():
            kind = self._kind(file)
            target = run if kind == "rs_dos" else relaxed.get((file.parent.parent, _formula(run)))
            if target is None:
                self._problem(file, f"no relaxed run of {_formula(run)} in {file.parent.parent.as_posix()}")
                continue
            try:
                energy = references.formation_energy(target)
            except VaspEnergyError as error:
                self._problem(file, str(error))
                continue
            yield from self._sample(file, kind, energy, source=self._inside(target.path))

    def _comparable_runs(self, files: list[Path]) -> dict[Path, VaspRun]:
        runs: dict[Path, VaspRun] = {}
        for file in files:
            try:
                run = read_run(self.folder / file)
            except VaspReadError as error:
                self._problem(file, str(error))
                continue
            if self._is_usable(file, run):
                runs[file] = run
        return runs

    def _lowest_relaxed(self, runs: dict[Path, VaspRun]) -> dict[tuple[Path, str], VaspRun]:
        lowest: dict[tuple[Path, str], VaspRun] = {}
        for file, run in runs.items():
            key = (file.parent.parent, _formula(run))
            if self._kind(file) == "rs_dos" and run.energy is not None:
                known = lowest.get(key)
                if known is None or known.energy is None or run.energy / run.n_sites < known.energy / known.n_sites:
                    lowest[key] = run
        return lowest

    def _sample(
        self, file: Path, kind: DosKind, energy: float, *, source: str, material: str = "", prototype: str = ""
    ) -> Iterator[Sample]:
        """Yield the sample of a run, or nothing."""
        settings = self.representation
        try:
            dos = read_dos(self.folder / file)
            if not self._is_usable(file, dos):
                return
            features = dos.features(normalisation=settings.normalisation, energy_reference=settings.energy_reference)
        except VaspReadError as error:
            self._problem(file, str(error))
            return
        run = file.parent.as_posix() if file.parent != Path() else self.folder.resolve().name
        self.found.n_samples += 1
        efermi = dos.efermi if math.isfinite(dos.efermi) else None
        yield Sample(
            id=f"{run}:{kind}",
            material=material or _formula(dos),
            kind=kind,
            dos=features,
            composition=dos.composition,
            energy=energy,
            efermi=efermi if settings.energy_reference == "absolute" else 0.0,
            spacing=dos.spacing,
            chemsys="-".join(sorted(dos.composition)),
            prototype=prototype,
            provenance=_provenance(dos, file, source),
        )

    def _kind(self, file: Path) -> DosKind:
        unrelaxed = self.is_pattern is not None and fnmatch.fnmatchcase(file.as_posix(), self.is_pattern)
        return "is_dos" if unrelaxed else "rs_dos"

    def _is_usable(self, file: Path, run: VaspRun) -> bool:
        if run.converged is False and not self.unconverged:
            self._problem(file, _NOT_CONVERGED)
            return False
        return True

    def _inside(self, path: Path) -> str:
        return path.relative_to(self.folder).as_posix()

    def _problem(self, file: Path, why: str) -> None:
        why = why.removeprefix(f"{self.folder / file}: ")
        if self.strict:
            raise VaspFolderError(f"{self.folder / file}: {why}")
        if self.report is None:
            logger.warning("left out: %s: %s", file.as_posix(), why)
        self.found.problems.append((file.as_posix(), why))


def _formula(run: VaspRun) -> str:
    """Reduced formula, elements in alphabetical order, e.g. ``O3V2``."""
    counts = Counter(run.structure.symbols)
    divisor = reduce(math.gcd, counts.values())
    return "".join(f"{symbol}{count // divisor if count > divisor else ''}" for symbol, count in sorted(counts.items()))


def engine_of(sample: Sample) -> str:
    """``gpaw`` for a run of the project's own vasp-gpaw, which says so in its version, else ``vasp``."""
    return "gpaw" if "-gpaw-" in str(sample.provenance["vasp_version"]) else "vasp"


def _provenance(dos: VaspDos, file: Path, source: str) -> dict[str, Any]:
    return {
        "source": "VASP run",
        "file": file.as_posix(),
        "formation_energy_from": source,
        "total_energy": dos.energy,  # eV for the cell
        "n_sites": dos.n_sites,
        "n_spins": dos.n_spins,
        "vasp_version": dos.version,
        "potcars": list(dos.potcars),
        "converged": dos.converged,
    }
