"""Symmetrised lm weights of the bands inside the PAW spheres, as for VASP's LORBIT = 11."""

from typing import Any

import numpy as np


def lm_weights(dft: Any) -> np.ndarray:
    """Project all bands on s, p and d functions of all atoms.

    GPAW's own projected DOS sums irreducible k-points without symmetrisation, so that px, py and pz differ in a cubic
    crystal. Here |<lm|psi>|^2 of each irreducible point is averaged over all symmetry operations, atoms mapped onto
    each other, which equals the sum over the whole zone. Instead of bare projector overlaps, the norm inside the sphere
    is used,

        w = sum_ij P_i* P_j N_ij,   N_ij = int_0^rc phi_i(r) phi_j(r) r^2 dr,

    with the partial waves phi of one l, and rc the largest cutoff radius of the data set.

    Parameters
    ----------
    dft
        A converged ``gpaw.new.calculation.DFT``.

    Returns
    -------
    ndarray, shape (spins, k-points, bands, atoms, 9)
        Weights between 0 and about 1, order s py pz px dxy dyz dz2 dxz x2-y2 (GPAW's own, and VASP's).
    """
    from gpaw.rotation import rotation

    ibzwfs = dft.ibzwfs
    symmetries = ibzwfs.ibz.symmetries
    cell = np.asarray(symmetries.cell_cv)
    cartesian = [np.linalg.inv(cell) @ operation @ cell for operation in symmetries.rotation_scc]
    rotations = [[rotation(angular, operation) for operation in cartesian] for angular in range(3)]
    norms = [_sphere_norms(setup) for setup in dft.setups]
    atoms = len(norms)
    weights = np.zeros((ibzwfs.nspins, len(ibzwfs.ibz), ibzwfs.nbands, atoms, 9))
    for wfs in ibzwfs:
        overlaps = [np.asarray(wfs.P_ani[a]) for a in range(atoms)]
        for angular in range(3):
            shells = [_shell(overlaps[b], norms[b][angular], angular) for b in range(atoms)]
            for index, mapped in enumerate(symmetries.atommap_sa):
                for a in range(atoms):
                    shell, norm = shells[mapped[a]]
                    if shell is None:
                        continue
                    turned = shell @ rotations[angular][index]
                    weights[wfs.spin, wfs.k, :, a, angular * angular : (angular + 1) ** 2] += np.einsum(
                        "nim,ij,njm->nm", turned.conj(), norm, turned
                    ).real / len(cartesian)
    return weights


def _shell(
    overlaps: np.ndarray, part: tuple[list[int], np.ndarray], angular: int
) -> tuple[np.ndarray | None, np.ndarray]:
    """Return the overlaps of one l, shape (bands, partial waves, 2 l + 1), or None without such waves."""
    columns, norm = part
    if not columns:
        return None, norm
    return overlaps[:, columns].reshape(len(overlaps), -1, 2 * angular + 1), norm


def _sphere_norms(setup: Any) -> list[tuple[list[int], np.ndarray]]:
    """Return for l = 0, 1, 2 the projector columns and the overlap matrix of the partial waves in the sphere."""
    data, momenta = setup.data, list(setup.l_j)
    inside = data.rgd.r_g <= max(data.rcut_j)
    starts = np.cumsum([0] + [2 * angular + 1 for angular in momenta])
    parts = []
    for angular in range(3):
        waves = [j for j, momentum in enumerate(momenta) if momentum == angular]
        columns = [column for j in waves for column in range(starts[j], starts[j + 1])]
        norm = np.array(
            [[data.rgd.integrate(data.phi_jg[i] * data.phi_jg[j] * inside) / (4 * np.pi) for j in waves] for i in waves]
        )
        parts.append((columns, norm))
    return parts
