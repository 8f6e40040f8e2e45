"""Which program computes, on the machine where a job runs."""

import shlex
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from pymatgen.core import SETTINGS
from pymatgen.io.vasp.inputs import UnknownPotcarWarning
from pymatgen.io.vasp.sets import BadInputSetWarning

from workflows.gpaw_vasp.potcars import header_potcar_tree
from workflows.settings import DftSettings


class EngineError(RuntimeError):
    """The program that should compute is not there, or another one answered."""


def engine_command(settings: DftSettings) -> str | None:
    """Command line of the engine on this machine; None leaves the choice to atomate2 (ATOMATE2_VASP_CMD).

    ``gpaw`` runs with this very Python, so that a worker whose PATH was lost (``bash -l``) still finds it.
    """
    if settings.engine == "gpaw":
        return shlex.join([sys.executable, "-m", "workflows.gpaw_vasp"])
    return settings.vasp_command


@contextmanager
def engine_environment(settings: DftSettings) -> Iterator[None]:
    """Make pymatgen find the POTCARs that belong to the engine, and only while the job runs.

    GPAW has its own data sets; header-only POTCAR files that carry their names take the production path through
    pymatgen. They say GPAW in their TITEL and never stand where a real VASP looks.
    """
    if settings.engine != "gpaw":
        yield
        return

    previous = SETTINGS.get("PMG_VASP_PSP_DIR")
    SETTINGS["PMG_VASP_PSP_DIR"] = str(header_potcar_tree())
    try:
        with warnings.catch_warnings():
            # pymatgen does not know these files, and must not: they hold no VASP data
            warnings.simplefilter("ignore", UnknownPotcarWarning)
            warnings.simplefilter("ignore", BadInputSetWarning)
            yield
    finally:
        if previous is None:
            del SETTINGS["PMG_VASP_PSP_DIR"]
        else:
            SETTINGS["PMG_VASP_PSP_DIR"] = previous


def check_engine_version(vasp_version: str, settings: DftSettings) -> None:
    """Refuse results that another engine computed: energies of two engines never meet in one hull.

    Raises
    ------
    EngineError
        If the version in the output does not belong to ``settings.engine``.
    """
    is_gpaw = "gpaw" in vasp_version.lower()
    if is_gpaw != (settings.engine == "gpaw"):
        raise EngineError(
            f"the output says it was made by version {vasp_version!r}, but this campaign computes with "
            f"{settings.engine!r}; check the command line of VASP on this worker"
        )
