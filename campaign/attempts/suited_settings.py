"""Settings of a retry that suit the cause of a relaxation's failure, as in docs/reference/custodian-codes.md."""

from collections.abc import Mapping
from typing import Any

from campaign.attempts.overrides import OverrideError, incar_overrides, parse_overrides
from campaign.spec.campaign_spec import CampaignSpec
from campaign.store.states import STAGES
from launchers.scheduler.slurm_output import megabytes

_RELAX = STAGES["relax"]
_MEMORY = "out_of_memory"
#: Electronic steps of a calculation that did not converge, doubled if it had as many; VASP takes no more than the last.
_NELM = (400, 10_000)
_UNCONVERGED = frozenset({"not_converged", "Unconverged", "psmaxn", "Non-converging job"})
#: INCAR tags of a relaxation, with the custodian codes that they suit.
_CODES = {
    "ISYM=0": "ksymm bravais rot_matrix pricel pricelv rhosyg point_group ibzkpt hnform kpoints_trans mesh_symmetry",
    "SYMPREC=1e-8 ISYM=0": "inv_rot_mat posmap symprec_noise",
    "ALGO=All AMIX=0.1": "brmix",
    "ALGO=All NCORE=1": "subspacematrix",
    "ALGO=All": "pssyevx pdsyevx eddrmm",
    "ALGO=Fast": "edddav zheev eddiag",
    "ALGO=Normal": "algo_tet grad_not_orth",
    "IBRION=1 POTIM=0.2": "brions zbrent",
    "POTIM=0.1": "zpotrf fexcf POTIM",
    "SIGMA=0.02": "LargeSigma",
}
#: Tags by code.
SUITED = {code: tags.split() for tags, codes in _CODES.items() for code in codes.split()} | {
    "Positive energy": ["POTIM=0.1"]
}


def suited_settings(cause: str, document: Mapping[str, Any], spec: CampaignSpec) -> list[str]:
    """Return the settings (``INCAR.NELM=400``) with which to retry a failed relaxation; empty if none is known.

    Parameters
    ----------
    cause
        Its cause (`campaign.attempts.causes`).
    document
        The candidate or reference, with ``overrides`` and ``relaxation.queue``. Settings that it had are left out.
    """
    if cause == _MEMORY:
        had_mb = megabytes(str(((document.get("relaxation") or {}).get("queue") or {}).get("mem", "")))
        return [] if had_mb is None else [f"memory={round(had_mb * spec.retries.memory_factor)}M"]
    tried = {**spec.dft.incar, **incar_overrides(document, _RELAX)}
    tags: dict[str, str] = {}
    for code in cause.removeprefix("custodian:").split(","):
        if code in _UNCONVERGED:
            tags.setdefault("NELM", str(min(max(_NELM[0], 2 * int(tried.get("NELM", 0))), _NELM[1])))
        for word in SUITED.get(code, []):
            tags.setdefault(*word.split("="))
    return [word for tag, value in tags.items() if _is_new(word := f"INCAR.{tag}={value}", tag, tried, spec)]


def _is_new(word: str, tag: str, tried: Mapping[str, Any], spec: CampaignSpec) -> bool:
    """Whether the engine takes a setting that the calculation did not have."""
    try:
        return bool(parse_overrides([word], stages=[_RELAX], engine=spec.dft.engine).incar[tag] != tried.get(tag))
    except OverrideError:
        return False
