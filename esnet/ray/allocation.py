"""Find the Ray cluster of this SLURM job, by the address and token that launchers/ray_cluster/ray_cluster.sh wrote."""

import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from esnet.files.errors import UserError


class RayAllocationError(UserError, RuntimeError):
    """The files of a Ray cluster cannot be trusted; the message gives the reason."""


@dataclass(frozen=True)
class RayAllocation:
    """A Ray cluster on the nodes of this job.

    Attributes
    ----------
    address
        ``host:port`` of its head node.
    token
        Token that it requires for authentication.
    """

    address: str
    token: str = field(repr=False)


def find_allocation(environment: Mapping[str, str] = os.environ) -> RayAllocation | None:
    """Return the Ray cluster of the SLURM job that this process belongs to, or None.

    Its folder is in SLURM_SUBMIT_DIR, where the batch script created it.

    Raises
    ------
    RayAllocationError
        If the token belongs to another user, or others can read it.
    """
    job, directory = environment.get("SLURM_JOB_ID"), environment.get("SLURM_SUBMIT_DIR")
    if not job or not directory:
        return None
    folder = Path(directory) / f"ray-cluster-{job}"
    try:
        address = (folder / "address").read_text(encoding="utf-8").strip()
        token = private_text(folder / "token")
    except FileNotFoundError:
        return None
    return RayAllocation(address, token)


def private_text(path: Path) -> str:
    """Return the text of a file that only this user can read or write.

    Raises
    ------
    RayAllocationError
        If the file belongs to another user, or others can read it.
    """
    with path.open(encoding="utf-8") as file:
        found = os.fstat(file.fileno())
        if found.st_uid != os.getuid() or stat.S_IMODE(found.st_mode) & 0o077:
            raise RayAllocationError(
                f"{path} belongs to user {found.st_uid} with mode {stat.S_IMODE(found.st_mode):o}; right: yours, with "
                "mode 600. Whoever wrote it could read your data: do not use this cluster"
            )
        return file.read().strip()
