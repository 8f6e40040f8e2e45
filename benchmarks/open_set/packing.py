"""Combine several campaigns into one data set of format 2, with densities rounded so that deflate compresses them well.

Densities are rounded to the 11 significant bits of float16 but stored as float32, so that readers of format 2 need not
change; the zero bits then take almost no space.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from esnet.dataset.dataset import Dataset, DatasetError, DatasetWriter, Sample

SAME = ("engine", "quality", "corrections", "settings_hash")
"""Fields that must agree in all campaigns of a data set, since energies from different settings are never mixed."""


def rounded(dos: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return densities rounded to float16; values outside its range are kept."""
    with np.errstate(over="ignore"):
        half = dos.astype(np.float16).astype(np.float32)
    return np.where(np.isfinite(half), half, dos)


def pack(parts: Sequence[Dataset], path: Path, *, failures: Mapping[str, Mapping[str, int]] | None = None) -> Dataset:
    """Write the data sets of several campaigns as one.

    Materials get readable names (``B2-PtZr``, ``element-Zr``). A crystal that occurs in two data sets, such as those of
    elements, is taken from the first.

    Parameters
    ----------
    parts
        Data sets of the campaigns.
    path
        Directory to create.
    failures
        Campaign -> stage and reason -> number of candidates, in addition to those in the sources of the data sets.

    Raises
    ------
    DatasetError
        If two data sets differ in one of the fields in `SAME`.
    """
    first = parts[0].manifest.source
    for part in parts[1:]:
        for name in SAME:
            if part.manifest.source.get(name) != first.get(name):
                raise DatasetError(
                    f"{_title(part)} has {name} {part.manifest.source.get(name)!r}, {_title(parts[0])} "
                    f"{first.get(name)!r}: one data set has one of them"
                )
    source = {name: first.get(name) for name in ("kind", *SAME)}
    source["densities"] = "rounded to the 11 significant bits of float16"
    source["failures"] = {}
    for each in (*(part.manifest.source.get("failures", {}) for part in parts), failures or {}):
        source["failures"] |= each
    with DatasetWriter(path, representation=parts[0].representation, source=source) as writer:
        for sample in _samples(parts):
            writer.add(sample)
    return Dataset.open(path)


def _title(part: Dataset) -> str:
    campaign = part.manifest.source.get("campaign")
    return f"campaign {campaign}" if campaign else f"the data set {part.path}"


def _samples(parts: Sequence[Dataset]) -> Iterator[Sample]:
    first: dict[str, Sample] = {}
    taken: set[str] = set()
    for part in parts:
        for place in range(len(part)):
            sample = sample_at(part, place)
            name = _material(sample)
            if not _same_crystal(first.setdefault(name, sample), sample):
                if sample.provenance.get("role") == "reference":
                    continue
                name = f"{name}-{sample.material}"
            identity = f"{name}:{sample.kind}"
            if identity in taken:
                continue
            taken.add(identity)
            yield replace(sample, id=identity, material=name, dos=rounded(sample.dos))


def _same_crystal(one: Sample, other: Sample) -> bool:
    """Return whether two samples of one prototype and formula had the same initial cell, to 0.001 A and degrees."""
    cells = [each.initial_structure.lattice.parameters for each in (one, other) if each.initial_structure is not None]
    if len(cells) < 2:
        return one.material == other.material
    return bool(np.allclose(*cells, rtol=0, atol=1e-3))


def _material(sample: Sample) -> str:
    formula = "".join(
        f"{symbol}{'' if amount == 1 else f'{amount:g}'}" for symbol, amount in sorted(sample.composition.items())
    )
    if sample.provenance.get("role") == "reference" and len(sample.composition) == 1:
        return f"element-{next(iter(sample.composition))}"
    return f"{sample.prototype or 'crystal'}-{formula}"


def sample_at(dataset: Dataset, place: int) -> Sample:
    """Read a complete sample."""
    (provenance,) = dataset.provenance([place])
    efermi, spacing = (float(column[place]) for column in (dataset.efermi, dataset.spacing))
    known: dict[str, Any] = {
        "efermi": None if np.isnan(efermi) else efermi,
        "spacing": None if np.isnan(spacing) else spacing,
    }
    return Sample(
        id=dataset.ids[place],
        material=dataset.materials[place],
        kind=dataset.kinds[place],  # type: ignore[arg-type]
        dos=dataset.read([place])[0],
        composition=dataset.amounts(place),
        energy=float(dataset.energies[place]),
        chemsys=dataset.chemsys[place],
        prototype=dataset.prototypes[place],
        provenance=provenance,
        initial_structure=dataset.structures([place], "initial")[0],
        relaxed_structure=dataset.structures([place], "relaxed")[0],
        **known,
    )


def prediction_change(parts: Sequence[Dataset], packed: Dataset) -> float:
    """Return the largest change of a prediction of the shipped ESNet due to the rounding, meV/atom."""
    import esnet
    from esnet.bundle.shipped import bundle_folder

    bundle = esnet.open_bundle(bundle_folder("gpaw-fast-binary"))
    exact = {}
    for part in parts:
        for place, document in enumerate(part.provenance(range(len(part)))):
            exact[document["features"]] = part.read([place])[0]
    places = range(len(packed))
    given = np.stack([exact[document["features"]] for document in packed.provenance(places)])
    exact_energies, energies = (bundle.predict(dos, packed.compositions) for dos in (given, packed.read(places)))
    return float(1000 * np.abs(energies - exact_energies).max())
