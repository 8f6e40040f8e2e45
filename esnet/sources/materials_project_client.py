"""Queries of the Materials Project through its client mp-api (extra ``mp``).

Summaries and electronic-structure documents are fetched page by page from its REST interface, densities of states from
its delta tables on S3. The client retries after rate limits (429) and gateway errors, MPRESTER_MAX_RETRIES times (3 by
default), and respects Retry-After.
"""

import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any, Self

from requests.exceptions import RequestException

from esnet.files.errors import UserError, require
from esnet.representation.composition import ELEMENTS

KEY_VARIABLE = "MP_API_KEY"
_FIELDS = ("material_id", "composition")
_ENERGY_FIELDS = (
    *("material_id", "energy_type", "formation_energy_per_atom", "energy_above_hull"),
    *("energy_per_atom", "uncorrected_energy_per_atom"),
)
_SYSTEMS = 100
"""Number of chemical systems per request: the URL must not become too long, and mp-api splits only lists of ids."""
_ID = re.compile(r"[A-Za-z0-9][\w.-]*")
_NO_DOS_MESSAGE = "No DOS data found"


class MaterialsProjectError(UserError, RuntimeError):
    """The Materials Project cannot be reached or does not answer; the message gives a remedy."""


@dataclass(frozen=True, kw_only=True)
class MaterialsQuery:
    """Selection of materials; None means any.

    Attributes
    ----------
    elements
        Elements that a material must contain, all of them.
    chemsys
        Chemical systems, e.g. ``Al-Pd``.
    num_elements
        Smallest and largest number of elements.
    max_energy_above_hull
        Largest energy above the hull, eV/atom.
    max_materials
        Largest number of materials; the first ones by id are taken.
    """

    elements: tuple[str, ...] | None = None
    chemsys: tuple[str, ...] | None = None
    num_elements: tuple[int, int] | None = None
    max_energy_above_hull: float | None = None
    max_materials: int | None = None

    def __post_init__(self) -> None:
        named = [*(self.elements or ()), *(part for system in self.chemsys or () for part in system.split("-"))]
        if unknown := sorted({symbol for symbol in named if symbol not in ELEMENTS and symbol != "*"}):
            raise MaterialsProjectError(f"{', '.join(unknown)}: not an element from H to Rg")
        if self.num_elements is not None and not 1 <= self.num_elements[0] <= self.num_elements[1]:
            raise MaterialsProjectError(f"num_elements is {self.num_elements}: must be a range from 1 upwards")
        if self.max_materials is not None and self.max_materials < 1:
            raise MaterialsProjectError(f"max_materials is {self.max_materials}: must be at least 1")

    def to_dict(self) -> dict[str, Any]:
        """Return the query in JSON types."""
        return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}


@dataclass(frozen=True)
class Material:
    """Data of a material in the Materials Project.

    Attributes
    ----------
    id
        Material id, e.g. ``mp-149``.
    composition
        Element symbol -> amount.
    energy
        Formation energy with the corrections mp2020 (GGA and GGA+U, never r2SCAN), eV/atom.
    uncorrected
        Formation energy without corrections, eV/atom; None for GGA+U, whose uncorrected energies cannot be compared
        with those of the elements.
    run_type
        ``GGA`` or ``GGA+U``.
    energy_above_hull
        Energy above the hull, with the corrections, eV/atom.
    """

    id: str
    composition: Mapping[str, float]
    energy: float
    uncorrected: float | None
    run_type: str
    energy_above_hull: float | None

    @classmethod
    def of(cls, document: Mapping[str, Any], thermo: Mapping[str, Any] | None) -> Self | None:
        """Create from a summary and a thermo document; None if there is no composition or no formation energy.

        Raises
        ------
        MaterialsProjectError
            If the id cannot be used as a file name.
        """
        identifier = str(document["material_id"])
        if not _ID.fullmatch(identifier):
            raise MaterialsProjectError(f"the service names a material {identifier!r}; ids are such as mp-149")
        composition = document.get("composition")
        energy = None if thermo is None else thermo.get("formation_energy_per_atom")
        if thermo is None or energy is None or not composition:
            return None
        amounts = {str(symbol): float(amount) for symbol, amount in dict(composition).items()}
        run_type, uncorrected = str(thermo["energy_type"]), None
        if run_type == "GGA":
            # elements have no corrections, so only the correction of the compound is subtracted
            correction = float(thermo["energy_per_atom"]) - float(thermo["uncorrected_energy_per_atom"])
            uncorrected = float(energy) - correction
        return cls(identifier, amounts, float(energy), uncorrected, run_type, thermo.get("energy_above_hull"))


class MaterialsProjectClient:
    """Context manager for a connection to the Materials Project.

    Parameters
    ----------
    endpoint
        Address of the REST interface. If None, MP_API_ENDPOINT or else the public address.

    Raises
    ------
    MaterialsProjectError
        If MP_API_KEY is not set or not a valid key, or the service does not answer.
    MissingExtraError
        If mp-api is not installed.
    """

    def __init__(self, *, endpoint: str | None = None) -> None:
        key = os.environ.get(KEY_VARIABLE, "").strip()
        if not key:
            raise MaterialsProjectError(
                f"the environment variable {KEY_VARIABLE} is not set: it holds the API key of your account at "
                "materialsproject.org"
            )
        self._key = key
        client = require("mp_api.client", extra="mp")
        with self._explained("connecting"):
            self._rester = client.MPRester(
                api_key=key, endpoint=endpoint, use_document_model=False, mute_progress_bars=True
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._rester.session.close()

    @property
    def database_version(self) -> str:
        """Version of the database, as a date."""
        return str(self._rester.db_version)

    def materials(self, query: MaterialsQuery) -> list[Material]:
        """Return the materials of a query that have a formation energy, sorted by id."""
        hull = query.max_energy_above_hull
        # deprecated=False is a condition; without one, the client would download the whole collection
        with self._explained("asking for the summaries"):
            documents = self._rester.materials.summary.search(
                elements=list(query.elements) if query.elements else None,
                chemsys=list(query.chemsys) if query.chemsys else None,
                num_elements=query.num_elements,
                energy_above_hull=None if hull is None else (0.0, hull),
                deprecated=False,
                fields=list(_FIELDS),
            )
        energies = self._energies([str(document["material_id"]) for document in documents])
        found = {
            material.id: material
            for document in documents
            if (material := Material.of(document, energies.get(str(document["material_id"]))))
        }
        return [found[identifier] for identifier in sorted(found, key=_id_order)][: query.max_materials]

    def _energies(self, material_ids: Sequence[str]) -> dict[str, Mapping[str, Any]]:
        """Return the thermo documents of these materials in the 2020 scheme, by material id."""
        if not material_ids:
            return {}
        with self._explained("asking for the energies"):
            documents = self._rester.materials.thermo.search(
                material_ids=list(material_ids),
                thermo_types=["GGA_GGA+U"],
                all_fields=False,
                fields=list(_ENERGY_FIELDS),
            )
        return {str(document["material_id"]): document for document in documents}

    def dos_tasks(self, material_ids: Sequence[str]) -> dict[str, str]:
        """Return the id of the DOS calculation of each material; materials without a DOS are left out."""
        with self._explained("asking for the electronic structures"):
            documents = self._rester.materials.electronic_structure.search(
                material_ids=list(material_ids), fields=["material_id", "dos"]
            )
        tasks = {str(document["material_id"]): (document.get("dos") or {}).get("task_id") for document in documents}
        return {material: str(task) for material, task in tasks.items() if task}

    def complete_dos(self, task_id: str) -> Any | None:
        """Return pymatgen's CompleteDos of a calculation; None without densities or projections."""
        from mp_api.client.core.exceptions import MPRestError

        with self._explained(f"fetching the DOS of {task_id}"):
            try:
                dos = self._rester.materials.electronic_structure_dos.get_dos_from_task_id(
                    task_id, load_projections=True
                )
            except MPRestError as error:
                if _NO_DOS_MESSAGE in str(error):
                    return None
                raise
        return dos if getattr(dos, "pdos", None) else None

    def entries(self, systems: Sequence[str]) -> list[dict[str, Any]]:
        """Return the computed entries of exactly these chemical systems (``Al``, ``Al-Pd``), sorted by id.

        They contain the corrections of 2020 (GGA and GGA+U) and have the form of pymatgen's
        ComputedStructureEntry.as_dict().
        """
        found: dict[str, dict[str, Any]] = {}
        for start in range(0, len(systems), _SYSTEMS):
            with self._explained("asking for the computed entries", remedy="repeat the command to continue"):
                documents = self._rester.materials.thermo.search(
                    chemsys=list(systems[start : start + _SYSTEMS]),
                    thermo_types=["GGA_GGA+U"],
                    all_fields=False,
                    fields=["material_id", "entries"],
                )
            for document in documents:
                found |= {str(entry["entry_id"]): dict(entry) for entry in document["entries"].values()}
        return [found[identifier] for identifier in sorted(found)]

    @contextmanager
    def _explained(
        self, doing: str, *, remedy: str = "the data fetched so far are kept; repeat the command to continue"
    ) -> Iterator[None]:
        """Convert errors of the client and its libraries into MaterialsProjectError with a remedy."""
        from deltalake.exceptions import DeltaError
        from mp_api.client.core.exceptions import MPRestError

        try:
            yield
        except (MPRestError, RequestException, DeltaError, OSError) as error:
            said = str(error).replace(self._key, "***")[:400]
            refused = any(code in said for code in ("401", "403", "32 characters"))
            hint = f"; is {KEY_VARIABLE} a valid key?" if refused else ""
            raise MaterialsProjectError(
                f"the Materials Project did not answer while {doing}: {said}{hint}; {remedy}"
            ) from error


def batches(items: Sequence[Material], size: int) -> Iterable[Sequence[Material]]:
    """Yield consecutive batches of a sequence."""
    return (items[start : start + size] for start in range(0, len(items), size))


def _id_order(identifier: str) -> tuple[str, int, str]:
    prefix, _, number = identifier.rpartition("-")
    return prefix, int(number) if number.isdigit() else -1, identifier
