"""Synthetic densities of states, one trained model, and one Ray for the tests of esnet/."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from esnet.bundle.bundle import Bundle
from esnet.ray.session import RaySession, ray_session
from esnet.representation.composition import composition_vector
from esnet.representation.dos import DOS_SHAPE, ENERGY_GRID, N_ORBITALS
from esnet.representation.features import Representation
from esnet.training.train import TrainingResult, TrainingSettings, train

# the machine is shared by many tests; TensorFlow reads these when it is first imported
os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "1")
os.environ.setdefault("TF_NUM_INTEROP_THREADS", "1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

SMALL = (8, 16, 32, 64)


@dataclass(frozen=True)
class Labelled:
    """Samples with a formation energy that follows from the DOS."""

    ids: list[str]
    dos: np.ndarray
    compositions: np.ndarray
    targets: np.ndarray

    def part(self, start: int, stop: int) -> Labelled:
        rows = slice(start, stop)
        return Labelled(self.ids[rows], self.dos[rows], self.compositions[rows], self.targets[rows])


def make_labelled(n_samples: int, *, seed: int = 0) -> Labelled:
    """Gaussian bands; the wider and the more electronegative the elements, the lower the energy.

    The network pools over all energies, so it sees the shape of a band well and its place hardly.
    """
    rng = np.random.default_rng(seed)
    energies = {"Al": 0.2, "Cu": 0.1, "Pd": -0.1, "Ag": 0.0, "Au": -0.2}
    dos = np.zeros((n_samples, *DOS_SHAPE), dtype=np.float32)
    compositions, targets = [], []
    for sample in range(n_samples):
        center, width = rng.uniform(-8.0, 0.0), rng.uniform(0.5, 2.0)
        band = np.exp(-0.5 * ((ENERGY_GRID - center) / width) ** 2)
        dos[sample] = band[None, :, None] * rng.uniform(0.8, 1.2, N_ORBITALS)
        chosen = rng.choice(list(energies), 2, replace=False)
        compositions.append(composition_vector(dict.fromkeys(chosen, 1)))
        targets.append(sum(energies[element] for element in chosen) - 0.2 * width)
    ids = [f"candidate-{sample:03d}" for sample in range(n_samples)]
    return Labelled(ids, dos, np.stack(compositions), np.array(targets))


@pytest.fixture(scope="session")
def labelled() -> Labelled:
    """120 samples."""
    return make_labelled(120)


@pytest.fixture(scope="session")
def trained(labelled: Labelled) -> TrainingResult:
    """A small network, trained on the first 80 samples with a validation part."""
    part = labelled.part(0, 80)
    return train(
        part.dos,
        part.compositions,
        part.targets,
        ids=part.ids,
        settings=TrainingSettings(widths=SMALL, batch_size=16, max_epochs=15, seed=3),
        representation=Representation(),
    )


@pytest.fixture(scope="session")
def bundle(trained: TrainingResult, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """The trained network as a bundle."""
    return trained.save(tmp_path_factory.mktemp("models") / "small")


@pytest.fixture(scope="session")
def ray_here() -> Iterator[RaySession]:
    """One Ray for the whole session; starting one takes about 10 s."""
    with ray_session("local", num_cpus=2, num_gpus=0) as session:
        yield session


@pytest.fixture(scope="session")
def vasp_runs() -> Path:
    """Real VASP files that are not part of the project."""
    folder = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "vasp_runs"
    if not folder.is_dir():
        pytest.skip(f"{folder} is absent")
    return folder


def make_complete_dos(
    structure: Any, site_densities: np.ndarray, energies: np.ndarray, *, spins: int = 2, efermi: float = 0.0
) -> Any:
    """pymatgen's CompleteDos from densities (n_sites, 2, n_energies, 9) in pymatgen's orbital order."""
    from pymatgen.electronic_structure.core import Orbital, Spin
    from pymatgen.electronic_structure.dos import CompleteDos, Dos

    used = (Spin.up, Spin.down)[:spins]
    orbitals = list(Orbital)[:N_ORBITALS]
    pdos = {
        site: {
            orbital: {spin: densities[row, :, column] for row, spin in enumerate(used)}
            for column, orbital in enumerate(orbitals)
        }
        for site, densities in zip(structure, site_densities, strict=True)
    }
    total = {spin: site_densities[:, row].sum(axis=(0, 2)) for row, spin in enumerate(used)}
    return CompleteDos(structure, Dos(efermi, energies, total), pdos)
