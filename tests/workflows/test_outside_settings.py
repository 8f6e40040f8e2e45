"""Nothing in a user's home or environment changes what a campaign computes; parallelism passes by name."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import atomate2
import pytest

from workflows.inputs.outside_settings import _FIXED, PASSES

ROOT = Path(__file__).resolve().parents[2]

#: Everything in atomate2's settings that a VASP job reads, set to something else.
FILE = """\
VASP_INCAR_UPDATES: {ENCUT: 680, ISMEAR: 0, LREAL: Auto, LDAU: true, ALGO: Fast, NCORE: 4, kpar: 2, NSIM: many}
VASP_CUSTODIAN_MAX_ERRORS: 1
VASP_USE_EMMET_MODELS: true
VASP_ZIP_FILES: true
VASP_STORE_VOLUMETRIC_DATA: [chgcar]
VASP_RUN_BADER: true
VASP_RUN_DDEC6: true
VASP_INHERIT_INCAR: true
VASP_HANDLE_UNSUCCESSFUL: false
VASP_VOLUME_CHANGE_WARNING_TOL: 0.0001
SYMPREC: 1.0
BANDGAP_TOL: 5.0
"""

#: Writes the inputs of both calculations, runs the DOS with the recorded engine, and prints what came of it.
SCRIPT = """
import json, os, sys
from pathlib import Path
from jobflow import JobStore
from maggma.stores import MemoryStore
from pymatgen.core import Structure
from atomate2.vasp.files import write_vasp_input_set
from workflows.dos import dos_flow
from workflows.engine import engine_command, engine_environment
from workflows.settings import DftSettings
from workflows.vasp import relax_maker, static_maker

settings = DftSettings(engine="gpaw", quality="fast", **json.loads(sys.argv[1]))
crystal = Structure.from_spacegroup("Fm-3m", [[4.05, 0, 0], [0, 4.05, 0], [0, 0, 4.05]], ["Al"], [[0, 0, 0]])
crystal = crystal.get_primitive_structure()
found = {}
with engine_environment(settings):
    for make in (static_maker, relax_maker):
        maker = make(crystal, settings)
        folder = Path(make.__name__)
        folder.mkdir()
        write_vasp_input_set(crystal, maker.input_set_generator, folder, **maker.write_input_set_kwargs)
        run = {key: value for key, value in maker.run_vasp_kwargs.items() if key == "max_errors"}
        found[make.__name__] = [(folder / "INCAR").read_text(), (folder / "KPOINTS").read_text(), run]
    store = JobStore(MemoryStore(), additional_stores={"data": MemoryStore()})
    store.connect()
    flow = dos_flow(crystal, settings, vasp_command=engine_command(settings, "dos"))
    for job in flow.jobs:
        job.run(store)
task = store.query_one({"name": "IS-DOS"}, load=False)["output"]
asked = task["asked_inputs"]
found |= {
    "asked": asked["incar"], "outside": asked["outside"], "large": len(list(store.additional_stores["data"].query())),
    "features": store.query_one({"name": "DOS features"})["output"]["shape"],
    "bader": task["calcs_reversed"][0]["bader"],
    "left": sorted(path.name for path in Path.cwd().iterdir() if path.is_file()),
}
print("FOUND " + json.dumps(found))
"""


def computed(folder: Path, home: Path, settings: str = "{}", **environment: str) -> dict:
    folder.mkdir()
    (folder / "kept.json").write_text("{}")
    playback = ROOT / "tests" / "campaign" / "playback"
    path = os.pathsep.join([str(playback), str(ROOT)])
    cache = {"XDG_CACHE_HOME": os.environ.get("XDG_CACHE_HOME", str(Path.home() / ".cache"))}
    env = {**os.environ, **cache, "HOME": str(home), "PYTHONPATH": path, **environment}
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, settings], cwd=folder, env=env, capture_output=True, text=True, check=False
    )
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("FOUND ")] or [done.stderr[-3000:]]
    return json.loads(line.removeprefix("FOUND "))


@pytest.fixture(scope="module")
def both(tmp_path_factory) -> tuple[dict, dict]:
    """The same campaign computed by somebody with an empty home, and by somebody with settings of their own."""
    folder = tmp_path_factory.mktemp("homes")
    for home in ("empty", "full"):
        (folder / home).mkdir()
    (folder / "full" / ".atomate2.yaml").write_text(FILE)
    (folder / "full" / ".pmgrc.yaml").write_text(
        "PMG_VASP_PSP_SUB_DIRS: {PBE: elsewhere}\nPMG_DEFAULT_FUNCTIONAL: LDA\n"
    )
    environment = {"ATOMATE2_VASP_STORE_ADDITIONAL_JSON": "true", "EMMET_USE_EMMET_MODELS": "true"}
    return (computed(folder / "a", folder / "empty"), computed(folder / "b", folder / "full", **environment))


def without_parallelism(inputs: list) -> list:
    return [re.sub(r"^(NCORE|KPAR) = .*\n", "", part, flags=re.MULTILINE) for part in inputs[:2]] + inputs[2:]


def test_a_home_with_settings_computes_the_same_but_for_its_parallelism(both):
    empty, full = both
    for kind in ("static_maker", "relax_maker"):
        assert without_parallelism(full[kind]) == empty[kind]
        assert "NCORE = 4" in full[kind][0]
        assert "KPAR = 2" in full[kind][0]
        assert "NSIM" not in full[kind][0]
    assert {tag: value for tag, value in full["asked"].items() if tag not in ("NCORE", "KPAR")} == empty["asked"]


def test_the_dos_arrives_whatever_models_and_files_the_home_asks_for(both):
    empty, full = both
    assert full["features"] == empty["features"] == [2, 1500, 9]
    assert full["large"] == empty["large"] >= 1  # the DOS, beside the document
    assert full["left"] == empty["left"]
    assert "kept.json" in full["left"]
    assert full["bader"] is None


def test_what_passed_and_what_did_not_is_recorded(both):
    empty, full = both
    assert empty["outside"] == {"passed": {}, "left_out": []}
    assert full["outside"]["passed"] == {"NCORE": 4, "KPAR": 2}
    left_out = {line.partition(":")[0] for line in full["outside"]["left_out"]}
    assert left_out >= {"VASP_INCAR_UPDATES.ENCUT", "VASP_INCAR_UPDATES.NSIM", "VASP_ZIP_FILES"}
    assert left_out >= {"VASP_USE_EMMET_MODELS", "VASP_CUSTODIAN_MAX_ERRORS", "SYMPREC"}


def test_the_campaign_file_goes_before_the_home(tmp_path):
    (tmp_path / ".atomate2.yaml").write_text(FILE)
    found = computed(tmp_path / "c", tmp_path, json.dumps({"incar": {"NPAR": 6, "NELM": 150}}))
    assert {tag: found["asked"].get(tag) for tag in ("NPAR", "NCORE", "KPAR", "NELM")} == {
        **{"NPAR": 6, "NCORE": None},
        **{"KPAR": 2, "NELM": 150},
    }


def test_every_setting_that_a_vasp_job_of_atomate2_reads_is_fixed_or_passes():
    folder = Path(atomate2.__file__).parent
    files = [folder / "common" / "files.py", *(folder / "vasp" / name for name in ("run.py", "files.py"))]
    files += [folder / "vasp" / part / name for part in ("jobs", "sets") for name in ("base.py", "core.py")]
    read = {name for file in files for name in re.findall(r"SETTINGS\.([A-Z0-9_]+)", file.read_text())}
    assert read <= PASSES | _FIXED.keys()
