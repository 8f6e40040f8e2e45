"""Runs in a folder: their descriptions, and samples made from their DOS."""

import fnmatch
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from esnet.dataset.sample import DosKind, Sample
from esnet.files.errors import UserError
from esnet.representation.features import Representation
from esnet.sources.vasp_dos import VaspDos, VaspReadError, VaspRun, engine_of_version
from esnet.sources.vasp_kinds import GIVES_DOS, RunKind, is_true, kind_of, not_converged
from esnet.sources.vasp_report import Problems, VaspFolderError
from esnet.sources.vasp_settings import MAGNETIC, charge_of
from esnet.sources.vasp_targets import Pairing
from esnet.sources.vasprun import read_dos, read_run

FINEST_RELAXATION = 0.05
"""Largest energy spacing, eV, for which the DOS of a relaxation is used if there is no other DOS of its crystal."""
_SELDOM_MAGNETIC = {"V", "Ce", "Yb"}
_SMALLEST_MOMENT = 0.1
"""Smallest magnetic moment of a site that counts, Bohr magnetons."""


@dataclass
class FolderRuns:
    """Runs of one folder, by the relative paths of their files.

    Attributes
    ----------
    files
        Files of all runs.
    runs
        Usable runs; only the crystals are used of relaxations that did not converge.
    kinds
        Kind of calculation of each readable run.
    stopped
        Relaxations that did not converge, with the reason.
    without_moment
        Magnetic element -> samples in which it has no moment.
    """

    folder: Path
    representation: Representation
    is_pattern: str | None
    unconverged: bool
    problems: Problems
    by_table: bool
    files: list[Path] = field(default_factory=list)
    runs: dict[Path, VaspRun] = field(default_factory=dict)
    kinds: dict[Path, RunKind] = field(default_factory=dict)
    stopped: dict[Path, str] = field(default_factory=dict)
    without_moment: dict[str, list[str]] = field(default_factory=dict)
    ids: set[str] = field(default_factory=set)

    def read(self, files: list[Path]) -> None:
        """Read the descriptions of the runs, and leave out unusable ones."""
        self.files = files
        for file in files:
            try:
                run = read_run(self.folder / file)
            except VaspReadError as error:
                self.leave_out(file, "unreadable", str(error))
                continue
            kind = self.kinds[file] = kind_of(run)
            stopped = None if self.unconverged else not_converged(run)
            if kind not in GIVES_DOS:
                why = "neither its DOS nor its energy is that of a crystal at rest"
                self.leave_out(file, kind, f"is a run of another kind ({kind}): {why}")
            elif stopped and kind == "relaxation":
                # its crystals still help to identify those of other runs
                self.runs[file] = run
                self.stopped[file] = stopped
                self.leave_out(file, "not converged", stopped)
            elif stopped:
                self.leave_out(file, "not converged", stopped)
            elif charged := charge_of(run):
                self.leave_out(file, "charged", charged)
            else:
                self.runs[file] = run

    def pairing(self, same_settings: frozenset[Path] | None) -> Pairing:
        """Pair the runs by their crystals; ``same_settings`` holds the files whose settings match the energies."""
        relaxations = {file for file in self.runs if self.kinds[file] == "relaxation"}
        return Pairing(
            (run for file, run in self.runs.items() if file not in relaxations),
            ((run, file not in self.stopped) for file, run in self.runs.items() if file in relaxations),
            same_settings,
        )

    def kind(self, file: Path, pairing: Pairing) -> DosKind | None:
        """Return the kind of a run's DOS, or None if unknown; the DOS of a relaxation belongs to its last crystal."""
        if self.kinds[file] == "relaxation":
            return "rs_dos"
        if self.is_pattern is not None:
            return "is_dos" if fnmatch.fnmatchcase(file.as_posix(), self.is_pattern) else "rs_dos"
        return pairing.kind(self.runs[file])

    def sample(
        self,
        file: Path,
        kind: DosKind,
        energy: float,
        pairing: Pairing,
        *,
        source: str,
        material: str = "",
        prototype: str = "",
        asked_for: bool = False,
        target: VaspRun | None = None,
    ) -> Iterator[Sample]:
        """Yield the sample of a run, or nothing; ``target`` is the run of the relaxed crystal, if known."""
        settings = self.representation
        relaxation = self.kinds[file] == "relaxation" and not asked_for
        if relaxation and self._has_other_dos(file, pairing):
            self.count_without_dos(file, "structure only" if self.by_table else "energy only")
            return
        try:
            dos = read_dos(self.folder / file)
            features = dos.features(normalisation=settings.normalisation, energy_reference=settings.energy_reference)
        except VaspReadError as error:
            if relaxation:
                self.count_without_dos(file, "structure only" if self.by_table else "energy only")
            else:
                self.leave_out(file, "no usable DOS", str(error))
            return
        if relaxation and dos.spacing > FINEST_RELAXATION:
            if self.by_table:
                why = f"the energies of this relaxation's DOS are {dos.spacing:.3f} eV apart"
                limit = f"more than {FINEST_RELAXATION:g} are used only if the table states a kind for the folder"
                self.leave_out(file, "coarse DOS of a relaxation", f"{why}; {limit}")
            else:
                self.count_without_dos(file, "energy only (coarse DOS)")
            return
        run = file.parent.as_posix() if file.parent != Path() else self.folder.resolve().name
        name = f"{run}:{kind}" if f"{run}:{kind}" not in self.ids else f"{run}/{file.name}:{kind}"
        self.ids.add(name)
        self.problems.found.n_samples += 1
        self.became(file, {"is_dos": "IS-DOS", "rs_dos": "RS-DOS"}[kind])
        for element in _without_moment(dos):
            self.without_moment.setdefault(element, []).append(file.as_posix())
        efermi = dos.efermi if math.isfinite(dos.efermi) else None
        initial, relaxed = pairing.cells(self.runs[file], kind, target)
        yield Sample(
            id=name,
            material=material or dos.formula,
            kind=kind,
            dos=features,
            composition=dos.composition,
            energy=energy,
            efermi=efermi if settings.energy_reference == "absolute" else 0.0,
            spacing=dos.spacing,
            chemsys="-".join(sorted(dos.composition)),
            prototype=prototype,
            provenance=_provenance(dos, self.kinds[file], file, source),
            initial_structure=None if initial is None else initial.structure(),
            relaxed_structure=None if relaxed is None else relaxed.structure(),
        )

    def _has_other_dos(self, file: Path, pairing: Pairing) -> bool:
        """Return whether another run has the DOS of a relaxation's last crystal, or another relaxation starts there."""
        crystal = pairing.crystals[self.runs[file].path]
        if any(link.initial == crystal != link.final for link in pairing.own):
            return True
        return any(
            pairing.crystals[run.path] == crystal
            for other, run in self.runs.items()
            if other != file and (self.kinds[other] != "relaxation" or other > file)
        )

    def has_energy(self, file: Path) -> bool:
        """Return whether the energy of a run is that of its crystal."""
        return self.kinds[file] != "non-self-consistent" and self.runs[file].energy is not None

    def inside(self, path: Path) -> str:
        """Return a path relative to the folder."""
        return path.relative_to(self.folder).as_posix()

    def became(self, file: Path, outcome: str) -> None:
        """Count the outcome of a run."""
        self.problems.found.outcomes[self.kinds.get(file, "unreadable")][outcome] += 1

    def count_without_dos(self, file: Path, outcome: str) -> None:
        """Count a run that is used, but not for its DOS."""
        self.became(file, outcome)
        self.problems.found.without_sample.append((file.as_posix(), f"{self.kinds[file]}, {outcome}"))

    def leave_out(self, file: Path, reason: str, why: str, *, error: type[UserError] = VaspFolderError) -> None:
        """Count a run as left out and record the reason, or raise an error if ``strict``."""
        self.became(file, "left out")
        self.problems.add(file, reason, why, error=error)


def _without_moment(dos: VaspDos) -> list[str]:
    """Return the magnetic elements of a collinear run that have no moment on any site."""
    if is_true(dos.tags.get("LNONCOLLINEAR")) or is_true(dos.tags.get("LSORBIT")):
        return []
    occupied = dos.energies <= dos.efermi
    moments = {
        site: sum(
            abs(float(np.trapezoid((spins[1] - spins[-1])[occupied], dos.energies[occupied])))
            for spins in orbitals.values()
            if -1 in spins
        )
        for site, orbitals in dos.pdos.items()
    }
    return [
        element
        for element in dos.structure.elements
        if element in MAGNETIC - _SELDOM_MAGNETIC
        and all(
            moments[site] < _SMALLEST_MOMENT for site, symbol in enumerate(dos.structure.symbols) if symbol == element
        )
    ]


def engine_of(sample: Sample) -> str:
    """Return ``gpaw`` for a run of the project's vasp-gpaw, identified by its version, otherwise ``vasp``."""
    return engine_of_version(str(sample.provenance["vasp_version"]))


def _provenance(dos: VaspDos, kind: RunKind, file: Path, source: str) -> dict[str, Any]:
    return {
        "source": "VASP run",
        "file": file.as_posix(),
        "run": kind,
        "formation_energy_from": source,
        "total_energy": dos.energy,  # eV per cell
        "n_sites": dos.n_sites,
        "n_spins": dos.n_spins,
        "spin_orbit": is_true(dos.tags.get("LSORBIT")),
        "vasp_version": dos.version,
        "potcars": list(dos.potcars),
        "converged": dos.converged,
    }
