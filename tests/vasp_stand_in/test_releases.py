"""What the product reads of a calculation does not depend on the release of VASP."""

import re

import pytest
from jobflow import run_locally
from pymatgen.io.vasp.outputs import Vasprun

from vasp_stand_in.site import DFT
from vasp_stand_in.versions import RELEASES
from workflows.dos import DosFeatures, dos_flow
from workflows.engine import engine_command
from workflows.settings import DftSettings

pytestmark = [
    pytest.mark.gpaw,
    pytest.mark.filterwarnings("ignore::UserWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning:jobflow"),
]

VASP = DftSettings(**DFT)


@pytest.fixture
def structure(vasp_here, tmp_path, monkeypatch):
    """A crystal whose IS-DOS is recorded."""
    monkeypatch.chdir(tmp_path)
    for folder in sorted(vasp_here.control.recorded.iterdir()):
        text = (folder / "vasprun.xml").read_text()
        if re.search(r'name="NSW">\s*0<', text) and "<c>Al</c>" in text and "<c>Cu</c>" in text:
            return Vasprun(folder / "vasprun.xml", parse_potcar_file=False, parse_dos=False).initial_structure
    raise AssertionError("no recording of AlCu")


def features(structure):
    flow = dos_flow(structure, VASP, vasp_command=engine_command(VASP, "dos"))
    static, extracted = flow.jobs
    outputs = run_locally(flow, create_folders=True, ensure_success=True, log=False)
    task = outputs[static.uuid][1].output
    return (
        task.calcs_reversed[0].vasp_version,
        task.output.energy,
        DosFeatures.from_json(outputs[extracted.uuid][1].output),
    )


def test_features_and_energy_are_those_of_every_release(structure, vasp_here, monkeypatch):
    found = {}
    for name in RELEASES:
        monkeypatch.setenv("VASP_STAND_IN_VERSION", name)
        version, energy, dos = features(structure)
        assert version.startswith(name)
        found[name] = (energy, dos.sha256)
    assert len(set(found.values())) == 1
    # every orbital has been read, d(x2-y2) under each of its names: no channel is empty
    assert (dos.decode() != 0).any(axis=1).all()
    assert len(vasp_here.starts()) == len(RELEASES)
