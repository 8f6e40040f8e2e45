"""The VASP releases that the stand-in plays: their version strings and what differs in their files."""

from __future__ import annotations

import os
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Release:
    """One release of VASP.

    Attributes
    ----------
    version
        As in vasprun.xml's generator.
    subversion
        As in vasprun.xml's generator, without the spaces that follow.
    banner
        First line of OUTCAR.
    x2_y2
        Name of the orbital d(x2-y2) in vasprun.xml.
    ranks, bands
        Lines that say how the work is divided; ``{ranks}`` stands for the number of MPI ranks.
    echoes_incar
        Whether OUTCAR begins with the tags of the INCAR.
    """

    version: str
    subversion: str
    banner: str
    x2_y2: str
    ranks: str
    bands: str
    echoes_incar: bool

    def division(self, ranks: int) -> str:
        """The lines that say on how many ranks it runs."""
        return (
            f"{self.ranks.format(ranks=ranks)}\n"
            f" distrk:  each k-point on {ranks:4d} cores,    1 groups\n"
            f"{self.bands} 1 cores, {ranks:4d} groups\n"
        )


def _release_5(version: str, build: str, *, x2_y2: str) -> Release:
    return Release(
        version=version,
        subversion=f"(build {build}) complex            parallel",
        banner=f" vasp.{version} (build {build}) complex          ",
        x2_y2=x2_y2,
        ranks=" running on {ranks:4d} total cores",
        bands=" distr:  one band on NCORES_PER_BAND=  ",
        echoes_incar=False,
    )


RELEASES = {
    "5.4.1": _release_5("5.4.1.05Feb16", "Mar 14 2016 10:12:41", x2_y2="dx2"),
    "5.4.4": _release_5("5.4.4.18Apr17-6-g9f103f2a35", "Oct 06 2017 16:20:38", x2_y2="x2-y2"),
    "6.4.2": Release(
        version="6.4.2",
        subversion="20Jul23 (build Mar 26 2025 13:49:23) complex                          parallel",
        banner=" vasp.6.4.2 20Jul23 (build Mar 26 2025 13:49:23) complex                         ",
        x2_y2="x2-y2",
        ranks=" running {ranks:4d} mpi-ranks, with    1 threads/rank, on    1 nodes",
        bands=" distr:  one band on NCORE=  ",
        echoes_incar=True,
    ),
}


def chosen_release() -> Release:
    """The release that ``VASP_STAND_IN_VERSION`` names; without it the paper's 5.4.4."""
    return RELEASES[os.environ.get("VASP_STAND_IN_VERSION", "5.4.4")]


def chosen_ranks() -> int:
    """How many MPI ranks it says it runs on (``VASP_STAND_IN_RANKS``)."""
    return int(os.environ.get("VASP_STAND_IN_RANKS", "4"))
