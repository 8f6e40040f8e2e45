"""The output of `esnet dataset info`."""

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from esnet.dataset.corrections import format_corrections, stated_corrections
from esnet.dataset.dataset import KINDS, Dataset
from esnet.representation.composition import ELEMENTS

_MANY = 12
_SPACINGS_APART = 5.0
"""Largest ratio of energy spacings; beyond it, sharp and smooth densities are mixed."""


def dataset_summary(dataset: Dataset) -> dict[str, Any]:
    """Return counts, energies, filters, source and identity of a data set in JSON types."""
    manifest = dataset.manifest
    materials = {kind: {dataset.materials[place] for place in dataset.indices(kind=kind)} for kind in KINDS}
    present = np.flatnonzero((dataset.compositions > 0).any(axis=0))
    return {
        "path": str(dataset.path),
        "checksum": dataset.checksum,
        "samples": len(dataset),
        "kinds": dict(manifest.counts),
        "materials": len(set(dataset.materials)),
        "materials_with_both": len(set.intersection(*materials.values())),
        "structures": dict(manifest.structures),
        "copies": len(dataset) - len(set(dataset.digests)),
        "chemical_systems": dict(Counter(dataset.chemsys).most_common()),
        "prototypes": dict(Counter(dataset.prototypes).most_common()),
        "elements": [ELEMENTS[place] for place in present],
        "energies": _energies(dataset.energies),
        "without_fermi_level": int(np.isnan(dataset.efermi).sum()),
        "spacing": _spacing(dataset.spacing),
        "runs": run_counts(dataset),
        "representation": dict(manifest.representation),
        "filters": dict(manifest.filters),
        "given": manifest.n_given,
        "dropped": dict(manifest.n_dropped),
        "dropped_ids": {name: list(ids) for name, ids in manifest.dropped_ids.items()},
        "source": dict(manifest.source),
        "corrections": stated_corrections(manifest.source),
        "warnings": [*manifest.warnings, *mixture_warnings(dataset)],
        "created": manifest.created,
        "versions": dict(manifest.versions),
        "bytes": sum(int(entry["bytes"]) for entry in manifest.files.values()),
    }


def run_counts(dataset: Dataset) -> dict[str, dict[str, int]]:
    """Count samples by spin polarisation and spin-orbit coupling, if stated in the data set."""
    runs = dataset.provenance(dataset.indices())
    spins = Counter(str(run["n_spins"]) for run in runs if "n_spins" in run)
    coupling = Counter("with" if run["spin_orbit"] else "without" for run in runs if "spin_orbit" in run)
    counts = {"ISPIN": dict(spins.most_common()), "spin-orbit coupling": dict(coupling.most_common())}
    return {name: found for name, found in counts.items() if found}


def content_warnings(dataset: Dataset) -> list[str]:
    """Return warnings about samples from which a model of formation energies cannot be trained."""
    systems = set(dataset.chemsys)
    if not systems or any("-" in system for system in systems):
        return []
    return [
        f"there are only elements ({', '.join(sorted(systems))}) and no compounds: the formation energies of elements "
        "are 0, so a model cannot be trained on them; add compounds"
    ]


def mixture_warnings(dataset: Dataset) -> list[str]:
    """Return warnings about densities computed in ways that a model cannot distinguish."""
    warnings = [
        f"{name} differs between samples: {', '.join(f'{value} in {count}' for value, count in counts.items())}"
        for name, counts in run_counts(dataset).items()
        if len(counts) > 1
    ]
    spacing = _spacing(dataset.spacing)
    if spacing is not None and spacing["max"] > _SPACINGS_APART * spacing["min"]:
        warnings.append(
            f"energies are {spacing['min']:.4f} eV apart in one sample and {spacing['max']:.4f} in another: a coarse "
            "DOS looks smoother than it is"
        )
    return warnings


def summary_rows(summary: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the summary as rows of two columns."""
    energies, spacing = summary["energies"], summary["spacing"]
    kinds = ", ".join(f"{count} {kind}" for kind, count in summary["kinds"].items())
    yield "samples", f"{summary['samples']} ({kinds})"
    yield "materials", f"{summary['materials']}, {summary['materials_with_both']} of them with IS-DOS and RS-DOS"
    yield "crystals", crystals_line(summary["samples"], summary["structures"])
    if summary["copies"]:
        yield "copies", f"{summary['copies']} with the DOS of another sample (a split keeps them together)"
    yield "elements", f"{len(summary['elements'])}: {' '.join(summary['elements'])}"
    yield "chemical systems", _most(summary["chemical_systems"])
    yield "prototypes", _most(summary["prototypes"])
    yield (
        "formation energies",
        f"{energies['min']:.3f} to {energies['max']:.3f}, mean {energies['mean']:.3f}, sd {energies['sd']:.3f} eV/atom",
    )
    yield "corrections", format_corrections(summary["corrections"])
    if spacing is not None:
        yield "energy spacing", f"{spacing['min']:.4f} to {spacing['max']:.4f} eV in the sources"
    for name, counts in summary["runs"].items():
        yield name, ", ".join(f"{value} {count}" for value, count in counts.items())
    if summary["without_fermi_level"]:
        yield (
            "Fermi level",
            f"unknown for {summary['without_fermi_level']} of {summary['samples']} samples (no moments)",
        )
    yield "representation", _pairs(summary["representation"])
    yield "filters", _pairs(summary["filters"])
    yield "left out", dropped_line(summary["given"], summary["dropped"])
    yield "source", _pairs(summary["source"])
    yield "written", f"{summary['created']}, {_pairs(summary['versions'])}, {summary['bytes'] / 1e6:.1f} MB"
    yield "checksum", summary["checksum"]


def crystals_line(n_samples: int, structures: dict[str, int]) -> str:
    """Return a sentence on how many samples have an initial and a relaxed crystal."""
    if not any(structures.values()):
        return "none: models that read crystals cannot be trained on these samples"
    return f"{structures['initial']} initial and {structures['relaxed']} relaxed ones for {n_samples} samples"


def dropped_line(n_given: int, n_dropped: dict[str, int]) -> str:
    """Return how many samples were left out, and by which filters."""
    by_filter = ", ".join(f"{count} by {name}" for name, count in n_dropped.items() if count)
    return f"{sum(n_dropped.values())} of {n_given}" + (f" ({by_filter})" if by_filter else "")


def _energies(energies: np.ndarray) -> dict[str, float]:
    return {
        "min": float(energies.min()),
        "max": float(energies.max()),
        "mean": float(energies.mean()),
        "sd": float(energies.std()),
    }


def _spacing(spacing: np.ndarray) -> dict[str, float] | None:
    known = spacing[~np.isnan(spacing)]
    return {"min": float(known.min()), "max": float(known.max())} if len(known) else None


def _most(counts: dict[str, int]) -> str:
    named: Iterable[str] = [f"{name or 'unknown'} {count}" for name, count in list(counts.items())[:_MANY]]
    more = f", and {len(counts) - _MANY} more" if len(counts) > _MANY else ""
    return f"{len(counts)}: {', '.join(named)}{more}"


def _pairs(values: dict[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in values.items())
