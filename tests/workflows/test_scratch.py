"""Calculations on a disk of the node: their files come back at every end, also after a kill."""

import signal
import subprocess
import time
from pathlib import Path

import pytest
from custodian.custodian import Custodian, CustodianError, Job
from scratch_process import start_in_scratch

from workflows.engine import EngineError
from workflows.scratch import node_scratch, scratch_root
from workflows.settings import DftSettings


class Writes(Job):
    """Writes an output where it runs; fails where it is told to."""

    def __init__(self, *, fails: bool) -> None:
        self.fails = fails

    name = "writes"

    def setup(self, directory="./"):
        pass

    def run(self, directory="./"):
        assert (Path(directory) / "INCAR").read_text() == "input"
        (Path(directory) / "OUTCAR").write_text(directory)
        return subprocess.Popen(["false" if self.fails else "true"])

    def postprocess(self, directory="./"):
        pass


@pytest.fixture
def root(tmp_path):
    folder = tmp_path / "scratch"
    folder.mkdir()
    return folder


@pytest.fixture
def launch(tmp_path, monkeypatch):
    folder = tmp_path / "launch"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


@pytest.mark.parametrize("fails", [False, True])
def test_custodian_computes_in_scratch_and_brings_everything_back(root, launch, fails):
    (launch / "INCAR").write_text("input")
    with node_scratch(root, launch) as folder:
        custodian = Custodian([], [Writes(fails=fails)], scratch_dir=folder, polling_time_step=0.01)
        if fails:
            with pytest.raises(CustodianError):
                custodian.run()
        else:
            custodian.run()
    assert Path((launch / "OUTCAR").read_text()).is_relative_to(root)
    assert not list(root.iterdir())
    assert not (launch / "scratch_link").is_symlink()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
@pytest.mark.parametrize("handler", ["default", "handler"])
def test_a_signal_ends_it_with_its_files_in_the_launch_folder(root, launch, number, handler):
    process = start_in_scratch(root, launch, handler=handler)
    process.send_signal(number)
    code = process.wait(timeout=60)
    assert code == (99 if handler == "handler" and number == signal.SIGTERM else code)
    assert code != 0
    assert (launch / "CONTCAR").read_text() == "reached"
    assert (launch / "WAVECAR").exists()


def test_after_a_kill_the_next_calculation_on_the_node_brings_the_files_back(root, launch, tmp_path):
    process = start_in_scratch(root, launch)
    process.kill()
    process.wait()
    assert not (launch / "CONTCAR").exists()
    other = tmp_path / "other"
    other.mkdir()
    with node_scratch(root, other):
        assert (launch / "CONTCAR").read_text() == "reached"
        assert (launch / "WAVECAR").exists()
        assert not (launch / "scratch_link").is_symlink()
        assert len(list(root.iterdir())) == 1
    assert not list(root.iterdir())


def test_while_it_runs_the_main_outputs_are_copied(root, launch):
    process = start_in_scratch(root, launch, every_s=0.05)
    try:
        while not (launch / "CONTCAR").exists():
            time.sleep(0.01)
        assert (launch / "CONTCAR").read_text() == "reached"
    finally:
        process.kill()
        process.wait()
    assert not (launch / "WAVECAR").exists()


def test_what_another_process_computes_is_left_alone(root, launch, tmp_path):
    process = start_in_scratch(root, launch)
    try:
        other = tmp_path / "other"
        other.mkdir()
        with node_scratch(root, other):
            assert (launch / "scratch_link").is_dir()
            assert not (launch / "CONTCAR").exists()
        assert (launch / "scratch_link" / "CONTCAR").exists()
    finally:
        process.kill()
        process.wait()


def test_a_launch_folder_that_was_used_again_gets_no_old_files(root, launch):
    process = start_in_scratch(root, launch)
    process.kill()
    process.wait()
    (launch / "scratch_link").unlink()  # as the next launch there, on another node, does
    with node_scratch(root, launch):
        assert not (launch / "CONTCAR").exists()
    assert not list(root.iterdir())


def test_a_link_to_a_disk_that_is_gone_stops_nothing(root, launch):
    (launch / "scratch_link").symlink_to("/no/such/node/disk")
    (launch / "INCAR").write_text("input")
    with node_scratch(root, launch) as folder:
        Custodian([], [Writes(fails=False)], scratch_dir=folder, polling_time_step=0.01).run()
    assert (launch / "OUTCAR").exists()


def test_scratch_is_a_variable_of_the_node_or_atomate2s(monkeypatch, tmp_path):
    monkeypatch.delenv("ATOMATE2_CUSTODIAN_SCRATCH_DIR", raising=False)
    assert scratch_root(DftSettings()) is None
    monkeypatch.setenv("NODE_DISK", str(tmp_path))
    assert scratch_root(DftSettings(scratch="$NODE_DISK/vasp"), make=False) == tmp_path / "vasp"
    assert not (tmp_path / "vasp").exists(), "a check only looks"
    assert scratch_root(DftSettings(scratch="$NODE_DISK/vasp")) == tmp_path / "vasp"
    assert (tmp_path / "vasp").is_dir()
    monkeypatch.setenv("ATOMATE2_CUSTODIAN_SCRATCH_DIR", str(tmp_path))
    assert scratch_root(DftSettings()) == tmp_path


@pytest.mark.parametrize(
    ("scratch", "said"),
    [
        ("$NO_SUCH_DISK", r"\$NO_SUCH_DISK not set"),
        ("scratch", "relative path"),
        ("/proc/scratch", "cannot be written to on this machine"),
    ],
)
def test_scratch_that_the_node_does_not_have_is_named(scratch, said):
    with pytest.raises(EngineError, match=said):
        scratch_root(DftSettings(scratch=scratch))
