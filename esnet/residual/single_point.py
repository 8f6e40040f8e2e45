"""Residuals of the IS-DOS calculation's own energy: the change by the relaxation, which a network learns."""

import numpy as np

from esnet.bundle.record import SINGLE_POINT
from esnet.dataset.corrections import stated_corrections
from esnet.dataset.dataset import Dataset
from esnet.residual.potential import PotentialError
from esnet.residual.residuals import Residuals, subtracted

SINGLE_POINT_ENERGY = "single_point_e_form"
"""In the provenance of an IS-DOS: formation energy of the unrelaxed crystal by that calculation, eV/atom."""


def single_point_residuals(dataset: Dataset) -> Residuals:
    """Subtract from each formation energy that of the unrelaxed crystal.

    Both have the same composition, so their difference does not depend on the energies of the elements. An RS-DOS has
    no residual: its crystal is relaxed.

    Raises
    ------
    PotentialError
        If no sample has the energy of its IS-DOS calculation.
    """
    rows = dataset.provenance(range(len(dataset)))
    is_dos = np.array([kind == "is_dos" for kind in dataset.kinds])
    energies = np.array([row.get(SINGLE_POINT_ENERGY, np.nan) for row in rows], dtype=np.float64)
    energies[~is_dos] = np.nan
    if not np.isfinite(energies).any():
        raise PotentialError(
            f"{dataset.path}: none of its {int(is_dos.sum())} IS-DOS has the energy of its calculation "
            f"({SINGLE_POINT_ENERGY} in the provenance); right: a data set that this `campaign dataset` writes"
        )
    lacking = int((is_dos & ~np.isfinite(energies)).sum())
    reasons = {
        "an RS-DOS: its crystal is relaxed": int((~is_dos).sum()),
        "no energy of the IS-DOS calculation": lacking,
    }
    about = {"potential": SINGLE_POINT, "energies": stated_corrections(dataset.manifest.source)}
    found = {reason: count for reason, count in reasons.items() if count}
    return subtracted(dataset, energies, about=about, reasons=found)
