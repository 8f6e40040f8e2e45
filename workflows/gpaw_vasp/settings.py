"""The four input files combined into one description of the calculation."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from workflows.gpaw_vasp import potcars
from workflows.gpaw_vasp.errors import InputRefused
from workflows.gpaw_vasp.incar import Scalar, Tags, Value, check_tags, integer, logical, number, parse_incar
from workflows.gpaw_vasp.kpoints import KMesh, read_mesh
from workflows.gpaw_vasp.poscar import Poscar, parse_poscar, read_input, read_titles

TETRAHEDRON_WIDTH = 0.05
"""Gaussian smearing, in eV, used instead of the tetrahedron method (ISMEAR = -5 and -4)."""


@dataclass(frozen=True)
class Settings:
    """Settings of the calculation; names and units as for VASP's tags.

    Attributes
    ----------
    tags
        The INCAR as read.
    ignored
        Its tags that have no effect here.
    titles
        One POTCAR title for each species.
    width
        Smearing in use, eV (differs from SIGMA for ISMEAR = -5).
    smearing
        ``fermi-dirac`` or ``methfessel-paxton``.
    order
        Order of Methfessel and Paxton; 0 is Gaussian.
    """

    tags: Tags
    ignored: tuple[str, ...]
    poscar: Poscar
    mesh: KMesh
    titles: tuple[str, ...]
    encut: float
    ispin: int
    magmom: tuple[float, ...]
    nsw: int
    ibrion: int
    isif: int
    ediff: float
    ediffg: float
    ismear: int
    sigma: float
    nelm: int
    nelmin: int
    nedos: int
    emin: float | None
    emax: float | None
    lorbit: int
    nbands: int | None
    nelect: float
    isym: int
    algo: str
    midgap: bool

    @property
    def relaxes(self) -> bool:
        """Whether ions move."""
        return self.nsw > 0 and self.ibrion in (1, 2, 3)

    @property
    def moves_cell(self) -> bool:
        """Whether the cell moves too."""
        return self.relaxes and self.isif == 3

    @property
    def smearing(self) -> str:
        """Occupation function in GPAW's words."""
        return "fermi-dirac" if self.ismear == -1 else "methfessel-paxton"

    @property
    def order(self) -> int:
        """Order of Methfessel and Paxton (0: Gaussian)."""
        return max(self.ismear, 0)

    @property
    def width(self) -> float:
        """Smearing width in use, eV."""
        return TETRAHEDRON_WIDTH if self.ismear < -1 else self.sigma

    def smearing_text(self) -> str:
        """Return a description of the smearing and the reason for it."""
        if self.ismear < -1:
            return f"ISMEAR = {self.ismear}: no tetrahedra here; Gaussian smearing of {self.width} eV in its place"
        if self.ismear == -1:
            return f"ISMEAR = -1: Fermi-Dirac smearing of {self.width} eV"
        name = "Gaussian" if self.ismear == 0 else f"Methfessel-Paxton (order {self.order})"
        return f"ISMEAR = {self.ismear}: {name} smearing of {self.width} eV"


def read_settings(directory: Path) -> Settings:
    """Read INCAR, POSCAR, KPOINTS and POTCAR or POTCAR.spec, and refuse what is not available.

    Raises
    ------
    InputRefused
        If a file is missing or malformed, or requests something that is not available.
    """
    tags = parse_incar(read_input(directory, "INCAR"))
    ignored = check_tags(tags)
    poscar = parse_poscar(read_input(directory, "POSCAR"))
    titles = read_titles(directory, [symbol for symbol, _ in poscar.groups()])
    kpoints = directory / "KPOINTS"
    mesh = read_mesh(kpoints.read_text(encoding="utf-8") if kpoints.exists() else None, tags, poscar.cell)
    return build_settings(tags, ignored=ignored, poscar=poscar, titles=titles, mesh=mesh)


def build_settings(
    tags: Tags, *, ignored: Sequence[str], poscar: Poscar, titles: Sequence[str], mesh: KMesh
) -> Settings:
    """Convert tags to settings with VASP's defaults.

    Raises
    ------
    InputRefused
        If a value is out of range or not available; the message names the tag.
    """
    atoms = len(poscar.symbols)
    nsw = integer(tags, "NSW", 0)
    ibrion = integer(tags, "IBRION", -1 if nsw < 1 else 0)
    ispin = _one_of(tags, "ISPIN", 1, {1: "no spin", 2: "collinear spins"})
    ediff = number(tags, "EDIFF", 1e-4)
    cutoffs = [potcars.recommended_cutoff(symbol) for symbol in poscar.symbols]
    settings = Settings(
        tags=tags,
        ignored=tuple(ignored),
        poscar=poscar,
        mesh=mesh,
        titles=tuple(titles),
        encut=number(tags, "ENCUT", max(cutoffs)),
        ispin=ispin,
        magmom=_moments(tags, ispin, atoms),
        nsw=nsw,
        ibrion=ibrion,
        isif=integer(tags, "ISIF", 2),
        ediff=ediff,
        ediffg=number(tags, "EDIFFG", 10 * ediff),
        ismear=integer(tags, "ISMEAR", 1),
        sigma=number(tags, "SIGMA", 0.2),
        nelm=integer(tags, "NELM", 60),
        nelmin=integer(tags, "NELMIN", 2),
        nedos=integer(tags, "NEDOS", 301),
        emin=number(tags, "EMIN", 0.0) if "EMIN" in tags else None,
        emax=number(tags, "EMAX", 0.0) if "EMAX" in tags else None,
        lorbit=integer(tags, "LORBIT", 0),
        nbands=integer(tags, "NBANDS", 0) if "NBANDS" in tags else None,
        nelect=sum(potcars.valence(symbol) for symbol in poscar.symbols),
        isym=integer(tags, "ISYM", 2),
        algo=str(tags.get("ALGO", "Normal")),
        midgap=str(tags.get("EFERMI", "")).upper() == "MIDGAP",
    )
    _check_physics(settings)
    _check_ranges(settings)
    return settings


def _one_of(tags: Mapping[str, Value], name: str, default: int, choices: Mapping[int, str]) -> int:
    value = integer(tags, name, default)
    if value not in choices:
        known = ", ".join(f"{key} ({meaning})" for key, meaning in choices.items())
        raise InputRefused(f"INCAR: {name} = {value} is refused: known are {known}")
    return value


def _moments(tags: Mapping[str, Value], ispin: int, atoms: int) -> tuple[float, ...]:
    if ispin == 1:
        return (0.0,) * atoms
    values = tags.get("MAGMOM", [1.0] * atoms)
    items: list[Scalar] = values if isinstance(values, list) else [values]
    if len(items) != atoms or any(isinstance(item, bool | str) for item in items):
        raise InputRefused(f"INCAR: values in MAGMOM: {len(items)}; right: {atoms}, one for each atom")
    return tuple(float(item) for item in items)


def _check_physics(settings: Settings) -> None:
    """Refuse physics that is not available."""
    functional = settings.tags.get("GGA", "PE")
    if str(functional).upper() not in ("PE", "PBE", "--"):
        raise InputRefused(
            f"INCAR: GGA = {functional} is refused: GPAW's data sets are PBE ones; write GGA = PE"
            " (atomate2's base set asks for PS, PBEsol)"
        )
    if settings.nsw > 0 and settings.ibrion not in (-1, 1, 2, 3):
        what = "molecular dynamics" if settings.ibrion == 0 else "phonons and other modes"
        raise InputRefused(
            f"INCAR: IBRION = {settings.ibrion} with NSW = {settings.nsw} is refused: {what} are not available;"
            " use IBRION = 2, or NSW = 0"
        )
    if settings.relaxes and settings.isif not in (0, 1, 2, 3):
        raise InputRefused(
            f"INCAR: ISIF = {settings.isif} is refused: only 0 to 2 (ions move) and 3 (ions and cell) are available"
        )
    if settings.ismear < -5 or settings.ismear in (-2, -3):
        raise InputRefused(
            f"INCAR: ISMEAR = {settings.ismear} is refused: use 0 (Gaussian), 1 or 2 (Methfessel-Paxton), -1 (Fermi)"
            " or -5"
        )
    if settings.lorbit and settings.lorbit not in (10, 11, 12):
        raise InputRefused(f"INCAR: LORBIT = {settings.lorbit} is refused: use 11 (lm-resolved) or 10 (l-resolved)")
    asked = number(settings.tags, "NELECT", settings.nelect)
    if abs(asked - settings.nelect) > 1e-6:
        raise InputRefused(
            f"INCAR: NELECT = {asked} is refused: charged cells are not available, the neutral cell has"
            f" {settings.nelect:g} electrons; leave it out"
        )


def _check_ranges(settings: Settings) -> None:
    """Refuse numbers that make no sense."""
    for name, value, least in (
        ("ENCUT", settings.encut, 50.0),
        ("EDIFF", settings.ediff, 1e-12),
        ("SIGMA", settings.sigma, 1e-4),
        ("NELM", settings.nelm, 1),
        ("NEDOS", settings.nedos, 2),
    ):
        if not value >= least:
            raise InputRefused(f"INCAR: {name} = {value} is refused: it must be at least {least:g}")
    if settings.emin is not None and settings.emax is not None and not settings.emin < settings.emax:
        raise InputRefused(f"INCAR: EMIN = {settings.emin} must be below EMAX = {settings.emax} (eV)")
    if settings.nbands is not None and 2 * settings.nbands < settings.nelect:
        raise InputRefused(
            f"INCAR: NBANDS = {settings.nbands} cannot hold {settings.nelect:g} electrons; at least"
            f" {int(settings.nelect // 2 + 1)} are needed"
        )
    logical(settings.tags, "KGAMMA", default=True)
