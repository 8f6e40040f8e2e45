"""CPU-seconds of every run of VASP in a launch directory, those that custodian packed away and failed ones included."""

import gzip
import os
import tarfile
from datetime import UTC, datetime, timedelta

import pytest

from workflows.outcar_costs import OutcarCosts, outcar_cpu_seconds

HEAD_5 = " vasp.5.4.4.18Apr17 (build) complex\n executed on LinuxIFC date 2026.12.01\n running on   16 total cores\n"
HEAD_6 = " vasp.6.4.1 05Apr23 (build) complex\n running    4 mpi-ranks, with    2 threads/rank, on    1 nodes\n"
LOOPS = (
    "      LOOP:  cpu time    2.0000: real time    2.1000\n      LOOP:  cpu time    3.0000: real time    3.1000\n"
    "     LOOP+:  cpu time   6.0000: real time   6.1000\n      LOOP:  cpu time    1.5000: real time    1.6\n"
)
TOTAL = "                  Total CPU time used (sec):       10.500\n"
EARLIER = datetime.now(UTC) - timedelta(hours=1)


@pytest.mark.parametrize(
    ("text", "cpu_s"),
    [
        (HEAD_5 + LOOPS + TOTAL, 168.0),
        (HEAD_6 + LOOPS + TOTAL, 42.0),
        (" vasp.6.2.1\n running  128 mpi-ranks, with    1 threads/rank\n" + TOTAL, 1344.0),
        (" vasp.5.4.4 serial version\n" + TOTAL, 10.5),
        (HEAD_5 + LOOPS, 120.0),  # killed: an ionic step, and the electronic step of the next
        (HEAD_5, 0.0),
        ("", 0.0),
    ],
)
def test_an_outcar_counts_all_ranks_and_a_run_that_was_cut_off_its_loops(text, cpu_s):
    assert outcar_cpu_seconds(text.encode()) == pytest.approx(cpu_s)


def pack(folder, number, text):
    (folder / "OUTCAR").write_text(text)
    with tarfile.open(folder / f"error.{number}.tar.gz", "w:gz") as kept:
        kept.add(folder / "OUTCAR", arcname=f"error.{number}/OUTCAR")


def test_every_restart_of_custodian_counts_once(tmp_path):
    pack(tmp_path, 1, HEAD_5 + LOOPS)
    pack(tmp_path, 2, HEAD_5 + LOOPS)  # two handlers have corrected the same run
    pack(tmp_path, 3, HEAD_5 + TOTAL + " 3\n")
    costs = OutcarCosts(tmp_path, since=EARLIER)
    assert costs.cpu_seconds() == pytest.approx(120.0 + 168.0)
    (tmp_path / "OUTCAR").write_text(HEAD_5 + TOTAL)
    assert costs.cpu_seconds() == pytest.approx(120.0 + 168.0 + 168.0)
    # of a double relaxation, as atomate2 packs it
    (tmp_path / "OUTCAR").unlink()
    for name in ("OUTCAR.relax1.gz", "OUTCAR.relax2.gz"):
        (tmp_path / name).write_bytes(gzip.compress((HEAD_6 + name + TOTAL).encode()))
    assert costs.cpu_seconds() == pytest.approx(120.0 + 168.0 + 2 * 42.0)


def test_a_copy_out_of_the_scratch_folder_counts_once(tmp_path):
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    launch = tmp_path / "launch"
    launch.mkdir()
    (launch / "scratch_link").symlink_to(scratch)
    (launch / "OUTCAR").write_text(HEAD_5 + LOOPS)  # as it was some minutes ago
    (scratch / "OUTCAR").write_text(HEAD_5 + LOOPS + LOOPS)
    assert OutcarCosts(launch, since=EARLIER).cpu_seconds() == pytest.approx(216.0)


def test_files_of_an_earlier_calculation_and_half_files_count_nothing(tmp_path):
    (tmp_path / "OUTCAR").write_text(HEAD_5 + TOTAL)
    old = EARLIER.timestamp() - 10
    os.utime(tmp_path / "OUTCAR", (old, old))
    (tmp_path / "error.1.tar.gz").write_bytes(gzip.compress(b"half a tar")[:-3])
    (tmp_path / "OUTCAR.gz").write_bytes(b"no gzip")
    (tmp_path / "OUTCAR.dir").mkdir()
    assert OutcarCosts(tmp_path, since=EARLIER).cpu_seconds() == 0.0
    assert OutcarCosts(tmp_path / "gone", since=EARLIER).cpu_seconds() == 0.0


def test_a_run_in_a_scratch_folder_is_seen(tmp_path):
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    (scratch / "OUTCAR").write_text(HEAD_5 + LOOPS)
    launch = tmp_path / "launch"
    launch.mkdir()
    (launch / "scratch_link").symlink_to(scratch)
    assert OutcarCosts(launch, since=EARLIER).cpu_seconds() == pytest.approx(120.0)
