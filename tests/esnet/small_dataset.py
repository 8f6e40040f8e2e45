"""Data sets small enough for tests."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from esnet.dataset.dataset import Dataset, DatasetWriter, Filters, Sample
from esnet.dataset.synthetic import synthetic_samples
from esnet.representation.dos import DOS_SHAPE
from esnet.representation.features import Representation


def write(path: Path, samples: Iterable[Sample], *, representation: Representation | None = None, **more: Any) -> Path:
    """Write samples as a data set; return its path."""
    with DatasetWriter(path, representation=representation or Representation(), source={"kind": "test"}, **more) as out:
        for sample in samples:
            out.add(sample)
    return path


def synthetic(path: Path, n_materials: int, *, seed: int = 0) -> Dataset:
    """Synthetic materials, each with an IS-DOS and an RS-DOS."""
    return Dataset.open(write(path, synthetic_samples(n_materials, seed=seed)))


def tiny_sample(number: int, **changes: Any) -> Sample:
    """One Al-Cu sample whose DOS is the number in one place (deflates to almost nothing)."""
    dos = np.zeros(DOS_SHAPE, dtype=np.float32)
    dos[0, number % 1500, number % 9] = 1.0 + number / 1024
    fields: dict[str, Any] = {
        "id": f"sample-{number:04d}",
        "material": f"material-{number:04d}",
        "kind": "rs_dos",
        "dos": dos,
        "composition": {"Al": 1.0, "Cu": 3.0},
        "energy": -0.001 * number,
        "efermi": 5.5,
        "spacing": 0.02,
        "chemsys": "Al-Cu",
        "prototype": "L1_2",
        "provenance": {"number": number},
    }
    return Sample(**(fields | changes))


ALL = Filters(max_dos=None, max_abs_formation_energy=None, f_block=False)
"""Nothing is left out."""
