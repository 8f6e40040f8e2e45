"""A site with VASP for the tests of this folder, and genuine runs of VASP."""

from pathlib import Path

import pytest
from pymatgen.core import SETTINGS

from vasp_stand_in.site import VaspSite


@pytest.fixture
def vasp_site(tmp_path: Path) -> VaspSite:
    """The stand-in in a folder of its own, with the recordings."""
    return VaspSite(tmp_path / "vasp")


@pytest.fixture
def vasp_here(vasp_site: VaspSite, monkeypatch: pytest.MonkeyPatch) -> VaspSite:
    """The same, and this process computes there."""
    for name, value in vasp_site.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setitem(SETTINGS, "PMG_VASP_PSP_DIR", str(vasp_site.potcars))
    return vasp_site


@pytest.fixture(scope="session")
def genuine_runs() -> Path:
    """Real VASP files that are not part of the project."""
    folder = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "vasp_runs"
    if not folder.is_dir():
        pytest.skip(f"{folder} is absent")
    return folder
