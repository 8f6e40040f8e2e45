"""A data set whose targets are the residuals of a potential: formation energies minus those of the potential.

A sample without an energy from the potential has a NaN target and belongs to no part of a split.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from esnet.dataset.corrections import stated_corrections
from esnet.dataset.dataset import Dataset, with_energies
from esnet.files.atomic import sha256_of_json
from esnet.potentials.potentials import require_package
from esnet.potentials.relaxation import NoEnergyError
from esnet.residual.energies_file import EnergiesFile, opened
from esnet.residual.potential import PotentialError, ResidualPotential, no_element

if TYPE_CHECKING:
    from pymatgen.core import Structure

RESIDUAL_OF = "residual_of"
_AT_ONCE = 256
#: Crystal structures that `ase.build.bulk` builds without further input.
_CRYSTALS = frozenset({"fcc", "bcc", "hcp", "diamond", "sc", "bct", "rhombohedral"})

Progress = Callable[[int, int], None]


@dataclass(frozen=True, kw_only=True)
class Residuals:
    """A data set of residuals.

    Attributes
    ----------
    dataset
        The data set with residuals as energies, its own checksum, and ``residual_of`` in its source.
    potential
        Formation energies from the potential, eV/atom, in the scheme of the data set, shape (n,); NaN if there is none.
    reasons
        Reasons for missing energies, with the number of samples.
    """

    dataset: Dataset
    potential: NDArray[np.float64]
    reasons: Mapping[str, int]


def default_energies_file(dataset: Path, potential: ResidualPotential) -> Path:
    """Return the file next to a data set that stores the energies of a potential."""
    folder = dataset.resolve()
    return folder.with_name(f"{folder.name}.{potential.title.replace(' ', '-')}.jsonl")


def residual_dataset(
    dataset: Dataset,
    potential: ResidualPotential,
    *,
    trained: Mapping[str, Any] | None = None,
    file: Path | None = None,
    progress: Progress | None = None,
) -> Residuals:
    """Compute the residuals of a data set by relaxing its crystals and the elements with a potential.

    The initial crystal of each sample is relaxed, or the relaxed one if there is no initial crystal. The energy of an
    element is the lowest among its crystals in the data set, or that of ASE's crystal if there is none.

    Parameters
    ----------
    dataset
        The data set.
    potential
        The potential.
    trained
        Description of the potential in a bundle (`esnet.bundle.record.TrainingRecord.residual_of`), whose energies of
        the elements and energy scheme are then used. If None, those of the data set.
    file
        File for the energies. If None, a file next to the data set.
    progress
        Called with the number of finished samples and of all samples.

    Returns
    -------
    Residuals
        The data set of residuals, eV/atom.

    Raises
    ------
    PotentialError
        If no sample has an energy from the potential, or the file cannot be used.
    MissingExtraError
        If the potential's package is not installed.
    """
    require_package(potential.calculator)  # before a file is made
    wanted = stated_corrections(dataset.manifest.source) if trained is None else trained["energies"]
    energies, reasons = np.full(len(dataset), np.nan), dict[str, int]()
    elements: dict[str, float | str] = {} if trained is None else dict(trained["elements"])
    with opened(file or default_energies_file(dataset.path, potential), potential) as known:
        for start in range(0, len(dataset), _AT_ONCE):
            places = np.arange(start, min(start + _AT_ONCE, len(dataset)))
            for place, crystal in zip(places.tolist(), _crystals(dataset, places), strict=True):
                try:
                    if crystal is None:
                        raise NoEnergyError("the data set has no crystal of it")
                    for symbol in sorted(dataset.amounts(place)):
                        if symbol not in elements:
                            elements[symbol] = (
                                _element_energy(symbol, dataset, known) if trained is None else no_element(symbol)
                            )
                    energies[place] = potential.formation_energy(crystal, known.energy(crystal), elements, wanted)
                except NoEnergyError as error:
                    reasons[str(error)] = reasons.get(str(error), 0) + 1
                if progress is not None:
                    progress(place + 1, len(dataset))
    if not np.isfinite(energies).any():
        why = "; ".join(f"{reason} ({count})" for reason, count in list(reasons.items())[:5])
        raise PotentialError(
            f"{dataset.path}: {potential.title} gives none of its {len(dataset)} samples a formation energy: {why}"
        )
    described = potential.description()
    # versions as in the bundle, so that residuals of its own data set are recognised by their checksum
    about: dict[str, Any] = (described if trained is None else {name: trained[name] for name in described}) | {
        "energies": wanted,
        "elements": {symbol: energy for symbol, energy in sorted(elements.items()) if not isinstance(energy, str)},
    }
    return subtracted(dataset, energies, about=about, reasons=reasons)


def subtracted(
    dataset: Dataset, energies: NDArray[np.float64], *, about: Mapping[str, Any], reasons: Mapping[str, int]
) -> Residuals:
    """Return the residuals of a data set after subtracting formation energies, shape (n,), in eV/atom; NaN: none.

    ``about`` describes the energies (`esnet.bundle.record.TrainingRecord.residual_of`); it is in the source and the
    checksum of the result.
    """
    residuals = dataset.energies - energies
    checksum = sha256_of_json({"dataset": dataset.checksum, "of": about, "residuals": [f"{x:.6f}" for x in residuals]})
    manifest = replace(dataset.manifest, checksum=checksum, source={**dataset.manifest.source, RESIDUAL_OF: about})
    return Residuals(dataset=with_energies(dataset, residuals, manifest), potential=energies, reasons=reasons)


def _crystals(dataset: Dataset, places: NDArray[np.intp]) -> "list[Structure | None]":
    initial, relaxed = dataset.structures(places, "initial"), dataset.structures(places, "relaxed")
    return [after if before is None else before for before, after in zip(initial, relaxed, strict=True)]


def _element_energy(symbol: str, dataset: Dataset, known: EnergiesFile) -> float | str:
    """Return the lowest energy of the crystals of an element, eV/atom, or the reason why there is none."""
    own = np.flatnonzero([chemsys == symbol for chemsys in dataset.chemsys])
    crystals = [crystal for crystal in _crystals(dataset, own) if crystal is not None] or _built(symbol)
    found, why = [], f"the data set has no crystal of {symbol}, and ASE builds none: add one to the data set"
    for crystal in crystals:
        try:
            found.append(known.energy(crystal))
        except NoEnergyError as error:
            why = str(error)
    return min(found) if found else f"the element {symbol}: {why}"


def _built(symbol: str) -> "list[Structure]":
    from ase.build import bulk
    from ase.data import atomic_numbers, reference_states
    from pymatgen.io.ase import AseAtomsAdaptor

    state = reference_states[atomic_numbers[symbol]]
    if state is None or state["symmetry"] not in _CRYSTALS or state.get("basis", ()) is None:
        return []
    return [AseAtomsAdaptor.get_structure(bulk(symbol))]
