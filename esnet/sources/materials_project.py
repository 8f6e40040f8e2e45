"""Data sets from the Materials Project: relaxed crystals with their DOS and formation energies.

The energies are the Materials Project's own (GGA and GGA+U, never r2SCAN), with or without its corrections of 2020; the
provenance of each sample records both. Every DOS belongs to a relaxed crystal (RS-DOS), so such a data set trains
RS2RE. It holds no initial crystals, because the initial structure of a Materials Project calculation is not a
prototype.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from esnet.dataset.crystals import Crystal, CrystalError
from esnet.dataset.dataset import Dataset, DatasetWriter, Filters, Sample
from esnet.dataset.writer import refuse_existing
from esnet.representation.dos import DOS_SHAPE, DosError, project_dos, source_spacing
from esnet.representation.features import Representation
from esnet.sources.materials_project_cache import DOS, NO_DOS, UNUSABLE, DownloadCache, Fetched
from esnet.sources.materials_project_client import (
    Material,
    MaterialsProjectClient,
    MaterialsProjectError,
    MaterialsQuery,
    batches,
)

if TYPE_CHECKING:
    from pymatgen.core import Structure

__all__ = ["FetchReport", "MaterialsProjectError", "MaterialsQuery", "fetch"]

logger = logging.getLogger(__name__)

_BATCH = 100
"""Number of materials whose calculations are requested in one query."""

Progress = Callable[[int, int], None]


@dataclass
class FetchReport:
    """Outcome for each material.

    Attributes
    ----------
    n_materials
        Number of materials that match the query.
    n_fetched
        Number of materials whose DOS this call requested; the others were fetched by an earlier call.
    counts
        Number of materials by outcome: ``dos``, ``no DOS``, ``unusable DOS``.
    unusable
        Material id -> why its DOS cannot be used.
    n_with_u
        Number of materials left out because they were computed with a Hubbard U although uncorrected energies were
        requested.
    """

    n_materials: int = 0
    n_fetched: int = 0
    counts: dict[str, int] = field(default_factory=dict)
    unusable: dict[str, str] = field(default_factory=dict)
    n_with_u: int = 0


def fetch(
    output: Path | str,
    *,
    query: MaterialsQuery,
    representation: Representation = Representation(),  # noqa: B008 (frozen)
    filters: Filters = Filters(),  # noqa: B008 (frozen)
    corrections: str = "mp2020",
    cache: Path | str | None = None,
    endpoint: str | None = None,
    progress: Progress | None = None,
) -> tuple[Dataset, FetchReport]:
    """Fetch the results of a query and write a data set, resuming an interrupted call.

    Parameters
    ----------
    output
        Directory of the data set to create.
    query
        Materials to fetch.
    representation
        Representation of the features.
    filters
        Samples to leave out and count. A DOS excluded by its composition or energy is not fetched.
    corrections
        ``mp2020``: formation energies with the corrections of the Materials Project. ``none``: without; materials
        computed with a Hubbard U are then left out, since only the corrections make them comparable.
    cache
        Folder for the downloaded data; ``OUTPUT.download`` by default. It is kept and can be removed when it is no
        longer needed.
    endpoint
        Address of the REST interface; see `esnet.sources.materials_project_client.MaterialsProjectClient`.
    progress
        Called with the number of finished materials and the number of materials in the query.

    Returns
    -------
    tuple
        The data set, and the outcome for each material.

    Raises
    ------
    DatasetExistsError
        If ``output`` exists.
    MaterialsProjectError
        If MP_API_KEY is not set, the service does not answer, or the cache belongs to another query. Nothing is then
        written to ``output``, and the data fetched so far stay in the cache.
    DatasetError
        If no sample is left to write.
    """
    output = Path(output)
    folder = Path(cache) if cache is not None else output.with_name(output.name + ".download")
    # checked before anything is fetched
    refuse_existing(output)
    report = FetchReport()
    with DownloadCache(folder, query=query, representation=representation) as store:
        materials = _materials(store, query, corrections, endpoint, report)
        _fetch_missing(store, materials, representation, filters, endpoint, report, progress)
        source = {
            "kind": "Materials Project",
            "engine": "vasp",
            "corrections": corrections,
            "database_version": store.database_version,
            "client": f"mp-api {version('mp-api')}",
            "query": query.to_dict(),
            "n_materials": report.n_materials,
            "counts": report.counts,
            "left_out_with_u": report.n_with_u,
        }
        with DatasetWriter(output, representation=representation, filters=filters, source=source) as writer:
            for material, energy in materials:
                sample = _sample(material, energy, store, filters)
                if sample is not None:
                    writer.add(sample)
    return Dataset.open(output, verify=False), report


def _materials(
    store: DownloadCache, query: MaterialsQuery, corrections: str, endpoint: str | None, report: FetchReport
) -> list[tuple[Material, float]]:
    """Return the materials of the query with their requested formation energies (eV/atom)."""
    if store.materials is None:
        with MaterialsProjectClient(endpoint=endpoint) as client:
            store.store_materials(client.materials(query), database_version=client.database_version)
    found = store.materials or []
    if not found:
        raise MaterialsProjectError(f"no material with a formation energy matches {_in_words(query)}")
    report.n_materials = len(found)
    energies = [material.energy if corrections == "mp2020" else material.uncorrected for material in found]
    report.n_with_u = energies.count(None)
    return [(material, energy) for material, energy in zip(found, energies, strict=True) if energy is not None]


def _fetch_missing(
    store: DownloadCache,
    materials: Sequence[tuple[Material, float]],
    representation: Representation,
    filters: Filters,
    endpoint: str | None,
    report: FetchReport,
    progress: Progress | None,
) -> None:
    for identifier, entry in list(store.fetched.items()):
        if entry.status == DOS and store.features(identifier) is None:
            logger.warning("%s: the file of its features is damaged or absent; it is fetched again", identifier)
            store.forget(identifier)
    wanted = [material for material, energy in materials if filters.dropped_by(_unseen(material, energy)) is None]
    todo = [material for material in wanted if material.id not in store.fetched]
    if todo:
        with MaterialsProjectClient(endpoint=endpoint) as client:
            for batch in batches(todo, _BATCH):
                _fetch_batch(client, store, batch, representation, report)
                if progress is not None:
                    progress(len(materials) - len(todo) + report.n_fetched, len(materials))
    mine = {material.id for material in wanted}
    entries = [entry for entry in store.fetched.values() if entry.material_id in mine]
    report.counts = {status: sum(entry.status == status for entry in entries) for status in (DOS, NO_DOS, UNUSABLE)}
    report.unusable = {entry.material_id: entry.reason for entry in entries if entry.status == UNUSABLE}


def _fetch_batch(
    client: MaterialsProjectClient,
    store: DownloadCache,
    batch: Sequence[Material],
    representation: Representation,
    report: FetchReport,
) -> None:
    tasks = client.dos_tasks([material.id for material in batch])
    for material in batch:
        task = tasks.get(material.id)
        dos = client.complete_dos(task) if task is not None else None
        if task is None or dos is None:
            store.store(Fetched(material_id=material.id, status=NO_DOS, task_id=task or ""))
        else:
            _store_dos(store, material, task, dos, representation)
        report.n_fetched += 1


def _store_dos(store: DownloadCache, material: Material, task: str, dos: Any, representation: Representation) -> None:
    composition = {str(element): float(amount) for element, amount in dos.structure.composition.items()}
    try:
        if set(composition) != set(material.composition):
            raise DosError(f"the DOS is of {dos.structure.composition.reduced_formula}, another material")
        features = project_dos(
            dos, normalisation=representation.normalisation, energy_reference=representation.energy_reference
        )
        spacing = source_spacing(dos)
    except DosError as error:
        store.store(Fetched(material_id=material.id, status=UNUSABLE, task_id=task, reason=str(error)))
        return
    absolute = representation.energy_reference == "absolute"
    entry = Fetched(
        material_id=material.id,
        status=DOS,
        task_id=task,
        composition=composition,
        efermi=float(dos.efermi) if absolute else 0.0,
        spacing=spacing,
        structure=_kept(dos.structure),
    )
    store.store(entry, features)


def _kept(structure: "Structure") -> dict[str, Any] | None:
    try:
        return Crystal.of(structure).to_dict()
    except CrystalError:  # disordered; its DOS can still be used
        return None


def _unseen(material: Material, energy: float) -> Sample:
    """Return a sample without a DOS, for the filters by composition and energy."""
    return Sample(
        id=f"{material.id}:rs_dos",
        material=material.id,
        kind="rs_dos",
        dos=np.zeros(DOS_SHAPE, dtype=np.float32),
        composition=material.composition,
        energy=energy,
        efermi=None,
        spacing=None,
        chemsys="-".join(sorted(material.composition)),
        prototype="",
        provenance={},
    )


def _sample(material: Material, energy: float, store: DownloadCache, filters: Filters) -> Sample | None:
    """Return the sample of a material; None if it has no DOS."""
    unseen = _unseen(material, energy)
    if filters.dropped_by(unseen) is not None:
        return unseen  # the writer counts it but does not write it
    entry = store.fetched[material.id]
    if entry.status != DOS or entry.composition is None:
        return None
    features = store.features(material.id)
    if features is None:
        raise MaterialsProjectError(f"{store.folder}: the features of {material.id} were changed; run this again")
    return replace(
        unseen,
        dos=features,
        composition=entry.composition,
        efermi=entry.efermi,
        spacing=entry.spacing,
        chemsys="-".join(sorted(entry.composition)),
        provenance={
            "source": "Materials Project",
            "database_version": store.database_version,
            "task_id": entry.task_id,
            "energy_above_hull": material.energy_above_hull,
            "formation_energy_mp2020": material.energy,  # eV/atom
            "formation_energy_uncorrected": material.uncorrected,
            "run_type": material.run_type,
        },
        relaxed_structure=None if entry.structure is None else Crystal.from_dict(entry.structure).structure(),
    )


def _in_words(query: MaterialsQuery) -> str:
    given = {name: value for name, value in query.to_dict().items() if value is not None}
    return ", ".join(f"{name}={value}" for name, value in given.items()) or "the query"
