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
from workflows.outside_settings import fixed_settings
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
    """Make pymatgen find the POTCARs that belong to the engine, and atomate2 the product's settings, while a job runs.

    GPAW has its own data sets; header-only POTCAR files that carry their names take the production path through
    pymatgen. They say GPAW in their TITEL and never stand where a real VASP looks.
    """
    if settings.engine != "gpaw":
        with fixed_settings():
            yield
        return

    # folders of the user's own names are those of another library
    ours = {"PMG_VASP_PSP_DIR": str(header_potcar_tree()), "PMG_VASP_PSP_SUB_DIRS": {}}
    previous = {name: SETTINGS[name] for name in ours if name in SETTINGS}
    SETTINGS.update(ours)
    try:
        with fixed_settings(), warnings.catch_warnings():
            # pymatgen does not know these files, and must not: they hold no VASP data
            warnings.simplefilter("ignore", UnknownPotcarWarning)
            warnings.simplefilter("ignore", BadInputSetWarning)
            yield
    finally:
        for name in ours.keys() - previous.keys():
            del SETTINGS[name]
        SETTINGS.update(previous)


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
