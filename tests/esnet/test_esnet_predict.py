"""`esnet predict` and `esnet.read_dos` with files that are right and wrong, before any network is loaded."""

import gzip
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import esnet
from esnet.bundle.shipped import UnknownModelError, bundle_folder
from esnet.cli.app import app
from esnet.files.quiet import without_chatter
from esnet.representation.dos import ORBITALS, DosError

ROOT = Path(__file__).resolve().parents[2]
PACKED = ROOT / "docs" / "notebooks" / "AlPd-B2.vasprun.xml.gz"


def predict(*words):
    return CliRunner().invoke(app, ["predict", "gpaw-fast-binary", *map(str, words)])


def test_files_that_cannot_be_used_are_named_each(tmp_path):
    text = gzip.decompress(PACKED.read_bytes())
    files = {"text.xml": b"hello", "cut.xml": text[:20000], "cut.xml.gz": PACKED.read_bytes()[:30000], "empty.xml": b""}
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    (tmp_path / "folder").mkdir()
    wrong = [*(tmp_path / name for name in files), tmp_path / "folder", tmp_path / "absent.xml"]
    done = predict(*wrong)
    assert done.exit_code == 1
    assert done.stdout == ""
    said = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert [line.removeprefix("error: ").split(":")[0] for line in said] == [str(path) for path in wrong]
    assert "is a folder without a vasprun.xml; right: the folder of a VASP run, or its vasprun.xml" in said[4]
    rows = json.loads(predict(*wrong, "--format", "json").stdout)
    assert [row["e_form"] for row in rows] == [None] * len(wrong)
    assert all(row["reason"].startswith(row["file"]) for row in rows)
    assert "absent.xml" in predict(*wrong, "--format", "csv").stdout.splitlines()[-1]


def test_an_unknown_model_is_told_those_that_there_are():
    done = subprocess.run(
        [sys.executable, "-c", "from esnet.cli.main import main; main()", "predict", "gpaw", str(PACKED)],
        **{"cwd": ROOT, "capture_output": True, "text": True},
    )
    assert done.returncode == 2
    assert "gpaw is neither the folder of a trained ESNet nor the name of one" in done.stderr
    assert "gpaw-fast-binary" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_model_whose_training_has_not_finished_is_said_to_be_one(tmp_path):
    (tmp_path / "mine.work").mkdir()
    with pytest.raises(UnknownModelError, match="mine: its training has not finished; the same `esnet train` command"):
        bundle_folder(tmp_path / "mine")


def test_a_dos_is_read_from_a_file_a_folder_and_pymatgen_alike(tmp_path):
    from pymatgen.io.vasp import Vasprun

    (tmp_path / "vasprun.xml.gz").symlink_to(PACKED)
    complete = Vasprun(PACKED, parse_potcar_file=False).complete_dos
    of_file, of_folder, of_dos = (esnet.read_dos(source) for source in (PACKED, tmp_path, complete))
    assert np.array_equal(of_file.channels, of_folder.channels)
    assert of_dos.channels == pytest.approx(of_file.channels, abs=1e-4)
    assert dict(of_file.composition) == dict(of_dos.composition) == {"Al": 1.0, "Pd": 1.0}
    assert (of_file.engine, of_dos.engine, of_dos.name) == ("gpaw", None, "AlPd")
    assert of_file.efermi == pytest.approx(complete.efermi)
    assert esnet.read_dos(PACKED, energy_reference="fermi").efermi == 0.0
    assert esnet.read_dos(PACKED, normalisation="none").total() == pytest.approx(2 * of_file.total(), rel=1e-5)


def test_shells_add_up_and_a_calculation_with_one_spin_is_counted_once():
    dos = esnet.read_dos(PACKED)
    shells = sum(dos.total(shell) for shell in "spd")
    assert shells == pytest.approx(dos.total())
    assert dos.total(["d", "dz2"]) == pytest.approx(dos.total("d"))
    assert sum(dos.total(orbital) for orbital in ORBITALS) == pytest.approx(dos.total())
    assert dos.total() == pytest.approx(np.abs(dos.channels).sum(axis=(0, 2)), rel=1e-5)
    both = dos.channels[0] + np.abs(dos.channels[1])
    assert replace(dos, channels=np.stack([both, -both])).total() == pytest.approx(dos.total(), rel=1e-5)
    with pytest.raises(DosError, match=r"orbitals: found 'f'; right: a shell \(s, p, d\) or one of s, px"):
        dos.total("f")


def test_sources_that_are_none_are_named_with_their_place(tmp_path):
    with pytest.raises(TypeError, match=r"source is int; right: the path of a vasprun\.xml"):
        esnet.read_dos(3)
    with pytest.raises(TypeError, match=r"sources\[1\] is dict; right"):
        esnet.predict("gpaw-fast-binary", [PACKED, {}])
    with pytest.raises(DosError, match="energy_reference is 'fermi'; right: 'absolute', with which the model was made"):
        esnet.predict("gpaw-fast-binary", esnet.read_dos(PACKED, energy_reference="fermi"))
    assert esnet.predict("gpaw-fast-binary", []) == []


def test_chatter_is_held_back_and_everything_else_is_said(capfd):
    chatter = (
        "WARNING: All log messages before absl::InitializeLog() is called are written to STDERR\n"
        "I0000 00:00:1796164304.002130   18136 port.cc:153] oneDNN custom operations are on.\n"
    )
    code = "import os, sys; os.write(2, sys.argv[1].encode())"

    def speak():
        with without_chatter():
            subprocess.run([sys.executable, "-c", code, f"{chatter}what matters\n"], check=True)
            raise ValueError("inside")

    with pytest.raises(ValueError, match="inside"):
        speak()
    assert capfd.readouterr().err == "what matters\n"
