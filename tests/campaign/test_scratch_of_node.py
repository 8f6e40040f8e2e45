"""A calculation on a disk of its node is recorded as one in the launch folder, and a killed one resumes from it."""

from pathlib import Path

import pytest
from aluminium import aluminium, calculate
from pymatgen.core import Structure
from pymatgen.io.vasp import Poscar
from scratch_process import start_in_scratch
from small_campaign import SMALL

from campaign.running_campaign import start_campaign

pytestmark = pytest.mark.mongo


@pytest.fixture
def node(tmp_path, monkeypatch):
    disk = tmp_path / "node"
    disk.mkdir()
    monkeypatch.setenv("NODE_DISK", str(disk))
    return disk


@pytest.fixture
def in_scratch(store, launchpad, small_spec, node):
    """The small campaign, computed on the node's disk."""
    start_campaign(store, launchpad, small_spec(dft={**SMALL["dft"], "scratch": "$NODE_DISK"}))


@pytest.mark.usefixtures("in_scratch")
def test_it_computes_there_and_its_files_are_in_the_launch_folder(store, database, node, engine, launch_folder):
    calculate(store, database, aluminium(store))
    (started,) = engine.read_text().splitlines()
    assert Path(started).is_relative_to(node)
    assert not list(node.iterdir())
    assert {"CONTCAR.gz", "OUTCAR.gz", "vasprun.xml.gz"} <= {path.name for path in launch_folder.iterdir()}
    (output,) = store.database["outputs"].find({"name": "relaxation"})
    assert output["output"]["dir_name"].endswith(str(launch_folder))
    (entry,) = store.attempts.find()
    assert (entry["outcome"], entry["directory"]) == ("completed", str(launch_folder))


@pytest.mark.usefixtures("in_scratch", "engine")
def test_a_relaxation_resumes_from_what_a_killed_one_left_on_the_node(store, database, node, launch_folder, tmp_path):
    document = aluminium(store)
    reached = Structure.from_dict(document["structure"])
    reached.scale_lattice(reached.volume * 1.02)
    killed = tmp_path / "killed"
    killed.mkdir()
    process = start_in_scratch(node, killed, contcar=Poscar(reached).get_str(significant_figures=16))
    process.kill()
    process.wait()
    assert not (killed / "CONTCAR").exists()
    store.attempts.insert_one(
        {"_id": "0.1", "document": document["_id"], "stage": "relax", "fw_id": 0, "outcome": "lost", "cause": "killed"}
        | {"campaign": "small", "directory": str(killed), "host": "here"}
    )
    calculate(store, database, document)
    assert (killed / "CONTCAR").is_file()
    assert not list(node.iterdir())
    source = aluminium(store)["relaxation"]["restarted_from"]
    assert (source["attempt"], source["directory"]) == ("0.1", str(killed))
