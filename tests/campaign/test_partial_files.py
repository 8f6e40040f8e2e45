"""Files that were cut off, by a kill or a full disk: passed over or read rightly, never half a number."""

import gzip
from pathlib import Path

import numpy as np
import pytest
from aluminium import aluminium, calculate
from custodian.custodian import ValidationError
from pymatgen.core import Lattice, Structure
from pymatgen.io.vasp import Poscar

from campaign.attempts.restart import last_geometry
from campaign.running_campaign import start_campaign

pytestmark = pytest.mark.mongo

RECORDED = Path(__file__).parent / "playback" / "Al"
CELL = Structure(Lattice(np.diag([3.1, 3.2, 3.3])), ["Al", "Cu"], [[0, 0, 0.01], [0.5000000000000004, 0.49, 0.51]])


def contcars():
    plain = Poscar(CELL).get_str(significant_figures=16)
    flags = [[True, True, False]] * 2
    moving = Poscar(CELL, velocities=[[0.1, 0.2, 0.3]] * 2).get_str(significant_figures=16)
    selective = Poscar(CELL, selective_dynamics=flags).get_str(significant_figures=16)
    return {"plain": plain, "velocities": moving, "selective": selective}


@pytest.mark.parametrize("kind", contcars())
@pytest.mark.parametrize("name", ["CONTCAR", "CONTCAR.gz"])
def test_a_contcar_that_is_cut_at_any_byte_is_whole_or_none(store, tmp_path, kind, name):
    content = contcars()[kind].encode()
    if name.endswith(".gz"):
        content = gzip.compress(content)
    entry = {"document": "c", "stage": "relax", "fw_id": 1, "outcome": "lost", "cause": "killed"}
    store.attempts.insert_one({"_id": "1.1", **entry, "host": "n1", "directory": str(tmp_path)})
    document = {"_id": "c", "structure": CELL.as_dict()}
    used = 0
    for size in range(len(content) + 1):
        (tmp_path / name).write_bytes(content[:size])
        if (found := last_geometry(store, document)) is not None:
            used += 1
            assert np.array_equal(found[0].frac_coords, CELL.frac_coords), size
            assert np.array_equal(found[0].lattice.matrix, CELL.lattice.matrix), size
    assert used >= 1


def cuts():
    for name in ("OUTCAR", "CONTCAR", "vasprun.xml"):
        content = gzip.decompress((RECORDED / f"{name}.gz").read_bytes())
        yield from ((name, size) for size in (0, len(content) // 2, len(content) - 12))
    text = gzip.decompress((RECORDED / "OUTCAR.gz").read_bytes()).decode()
    yield "OUTCAR", text.index(".", text.index("Total CPU time used"))


@pytest.mark.parametrize(("name", "size"), list(cuts()))
def test_an_engine_that_ends_with_a_file_cut_off_has_failed_on_its_machine(
    store, launchpad, database, small_spec, engine, launch_folder, monkeypatch, name, size
):
    start_campaign(store, launchpad, small_spec())
    monkeypatch.setenv("ENGINE_CUT", f"{name}:{size}")
    with pytest.raises(ValidationError):
        calculate(store, database, aluminium(store))
    (entry,) = store.attempts.find()
    assert (entry["outcome"], entry["cause"]) == ("machine", "incomplete_output")
    assert store.database["outputs"].count_documents({}) == 0
