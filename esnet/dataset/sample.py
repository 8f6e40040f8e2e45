"""One sample of a data set (a density of states with the formation energy to predict), and filters of samples."""

import hashlib
import json
import math
import numbers
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any, Literal, Self, get_args

import numpy as np
from numpy.typing import NDArray

from esnet.dataset.crystals import WHICH, Crystal, CrystalError, Which
from esnet.files.errors import UserError
from esnet.representation.composition import ELEMENTS
from esnet.representation.dos import DOS_SHAPE

if TYPE_CHECKING:
    from pymatgen.core import Structure

DosKind = Literal["is_dos", "rs_dos"]
"""Kind of a DOS: an IS-DOS is used for IS2RE, an RS-DOS for RS2RE."""

KINDS: tuple[DosKind, ...] = get_args(DosKind)

F_BLOCK = frozenset(ELEMENTS[56:71] + ELEMENTS[88:103])
"""La to Lu and Ac to Lr: the representation has no f channels."""

_SYMBOLS = frozenset(ELEMENTS)


class DatasetError(UserError, ValueError):
    """A data set or one of its samples cannot be used; the message names it and the problem."""


@dataclass(frozen=True, kw_only=True)
class Sample:
    """One density of states and its target.

    Attributes
    ----------
    id
        Unique in a data set, e.g. ``mp-1234:rs_dos``.
    material
        Name shared by all DOS of one material (IS-DOS and RS-DOS), which a split never divides.
    kind
        ``is_dos`` (unrelaxed structure) or ``rs_dos`` (relaxed structure).
    dos
        Unscaled densities from `esnet.representation.dos.project_dos`, shape (2, 1500, 9).
    composition
        Element symbol -> amount (in a cell or a formula).
    energy
        Formation energy of the RELAXED crystal, eV/atom.
    efermi
        Fermi level in eV on the axis of ``dos`` (0.0 with ``energy_reference="fermi"``); None if unknown.
    spacing
        Energy spacing of the source, eV; None if unknown.
    chemsys
        Elements in alphabetical order, e.g. ``Al-Pd``.
    prototype
        Name of the structure type; empty if unknown.
    provenance
        Origin of the sample, in JSON types.
    initial_structure, relaxed_structure
        The crystal before and after its relaxation; the DOS belongs to the first (``is_dos``) or the second
        (``rs_dos``). None if unknown. Elements, lattice and positions are kept, see `esnet.dataset.crystals`.
    """

    id: str
    material: str
    kind: DosKind
    dos: NDArray[np.float32]
    composition: Mapping[str, float]
    energy: float
    efermi: float | None
    spacing: float | None
    chemsys: str
    prototype: str
    provenance: Mapping[str, Any]
    initial_structure: "Structure | None" = None
    relaxed_structure: "Structure | None" = None

    def structure(self, which: Which) -> "Structure | None":
        """Return the crystal before (``initial``) or after its relaxation."""
        return self.initial_structure if which == "initial" else self.relaxed_structure

    def checked(self) -> Self:
        """Return the sample in the stored types.

        Raises
        ------
        DatasetError
            If a field is invalid; the message names the sample, the field and the problem.
        """
        name = f"sample {self.id!r}"
        for field in ("id", "material"):
            if not isinstance(getattr(self, field), str) or not getattr(self, field):
                raise DatasetError(f"{name}: {field} is {getattr(self, field)!r}, must be text that is not empty")
        if self.kind not in KINDS:
            raise DatasetError(f"{name}: kind is {self.kind!r}, must be one of {', '.join(KINDS)}")
        if not isinstance(self.prototype, str):
            raise DatasetError(f"{name}: prototype is {self.prototype!r}, must be text, empty where it is unknown")
        if not _is_finite(self.energy):
            raise DatasetError(f"{name}: energy is {self.energy!r}, must be a finite number (eV/atom)")
        for field, value in (("efermi", self.efermi), ("spacing", self.spacing)):
            if value is not None and not _is_finite(value):
                raise DatasetError(f"{name}: {field} is {value!r}, must be a finite number (eV) or None")
        composition = _checked_composition(name, self.composition, self.chemsys)
        for which in WHICH:
            _check_crystal(f"{name}: {which}_structure", self.structure(which), composition)
        return type(self)(
            **{field.name: getattr(self, field.name) for field in fields(self)}
            | {
                "dos": _checked_dos(name, self.dos),
                "composition": composition,
                "provenance": _checked_provenance(name, self.provenance),
                "energy": float(self.energy),
                "efermi": None if self.efermi is None else float(self.efermi),
                "spacing": None if self.spacing is None else float(self.spacing),
            }
        )

    def digest(self) -> bytes:
        """Return the SHA-256 of the densities, which identifies copies of one DOS."""
        return hashlib.sha256(np.ascontiguousarray(self.dos, dtype="<f4").tobytes()).digest()

    def identity(self, digest: bytes) -> bytes:
        """Return the fields that distinguish the sample from others, as bytes; its origin is not among them.

        A sample without crystals has the same identity as in format 1.
        """
        crystals = {f"{which}_structure": self.structure(which) for which in WHICH}
        others = {"provenance", *crystals}
        said = {field.name: getattr(self, field.name) for field in fields(self) if field.name not in others}
        said |= {"dos": digest.hex(), "composition": sorted(self.composition.items())}
        said |= {name: Crystal.of(found).digest().hex() for name, found in crystals.items() if found is not None}
        return json.dumps(said, sort_keys=True).encode() + b"\n"


@dataclass(frozen=True, kw_only=True)
class Filters:
    """Samples left out of a data set and counted; None or False disables a filter.

    Attributes
    ----------
    max_dos
        Largest absolute density, in states/eV per atom or as otherwise normalised; samples above it are left out.
    max_abs_formation_energy
        Largest absolute formation energy, in eV/atom; samples above it are left out.
    f_block
        Whether samples with an f-block element (La to Lu, Ac to Lr) are left out.
    """

    max_dos: float | None = 50.0
    max_abs_formation_energy: float | None = 5.0
    f_block: bool = True

    def __post_init__(self) -> None:
        for name in ("max_dos", "max_abs_formation_energy"):
            limit = getattr(self, name)
            if limit is not None and not limit > 0:
                raise DatasetError(f"filter {name}={limit!r}: must be above 0, or None to switch it off")

    def dropped_by(self, sample: Sample) -> str | None:
        """Return the name of the first filter that leaves a sample out, or None."""
        if self.f_block and not F_BLOCK.isdisjoint(sample.composition):
            return "f_block"
        if self.max_dos is not None and float(np.abs(sample.dos).max()) > self.max_dos:
            return "max_dos"
        if self.max_abs_formation_energy is not None and abs(sample.energy) > self.max_abs_formation_energy:
            return "max_abs_formation_energy"
        return None

    def to_dict(self) -> dict[str, Any]:
        """Return the filters in JSON types."""
        return asdict(self)


def _is_finite(value: Any) -> bool:
    return isinstance(value, numbers.Real) and math.isfinite(value)


def _checked_dos(name: str, dos: Any) -> NDArray[np.float32]:
    if np.shape(dos) != DOS_SHAPE:
        raise DatasetError(f"{name}: dos has shape {np.shape(dos)}, must be {DOS_SHAPE} (spin, energy, orbital)")
    # + 0 turns negative zero (from the one-spin rule) into zero: equal densities must have equal bytes
    array = np.ascontiguousarray(dos, dtype=np.float32) + np.float32(0.0)
    bad = int((~np.isfinite(array)).sum())
    if bad:
        raise DatasetError(f"{name}: {bad} densities of dos are not finite")
    return array


def _checked_composition(name: str, composition: Mapping[str, float], chemsys: str) -> dict[str, float]:
    amounts = {str(symbol): amount for symbol, amount in composition.items()}
    if not amounts:
        raise DatasetError(f"{name}: composition is empty")
    for symbol, amount in amounts.items():
        if symbol not in _SYMBOLS:
            raise DatasetError(f"{name}: composition has {symbol!r}, which is not an element from H to Rg")
        if not (_is_finite(amount) and amount > 0):
            raise DatasetError(f"{name}: composition has {amount!r} of {symbol}, must be a number above 0")
    right = "-".join(sorted(amounts))
    if chemsys != right:
        raise DatasetError(f"{name}: chemsys is {chemsys!r}, must be {right!r} as the composition has it")
    return {symbol: float(amount) for symbol, amount in amounts.items()}


def _check_crystal(name: str, structure: "Structure | None", composition: Mapping[str, float]) -> None:
    if structure is None:
        return
    try:
        Crystal.of(structure).check_composition(composition)
    except CrystalError as error:
        raise DatasetError(f"{name} {error}") from error


def _checked_provenance(name: str, provenance: Mapping[str, Any]) -> dict[str, Any]:
    try:
        content: dict[str, Any] = json.loads(json.dumps(dict(provenance), allow_nan=False))
    except (TypeError, ValueError) as error:
        raise DatasetError(f"{name}: provenance is not made of JSON types: {error}") from error
    return content
