"""The version strings that mark every output as GPAW's."""

from importlib.metadata import PackageNotFoundError, version

VASP_LOOKALIKE = "6.9.9"
"""VASP version whose file formats are imitated; parsers only read its major number."""


def gpaw_version() -> str:
    """Return the version of the installed GPAW (``26.7.0``, or ``absent``), without importing it."""
    try:
        return version("gpaw")
    except PackageNotFoundError:
        return "absent"


def version_string() -> str:
    """Return the version written into vasprun.xml, for example ``6.9.9-gpaw-26.7.0``.

    It contains ``gpaw``, so that no result can be mistaken for VASP's.
    """
    return f"{VASP_LOOKALIKE}-gpaw-{gpaw_version()}"
