"""What a VASP died of is told by its exit code and by what it, MPI and the scheduler said, through custodian's verdict.

A shell script stands for VASP: it leaves recorded output, whole or cut off, says something and ends.
"""

import gzip
import json
import os
import shutil
import tarfile
from pathlib import Path

import pytest
from custodian.custodian import CustodianError
from pymatgen.core import Structure

from campaign.attempts.causes import failure_cause
from campaign.attempts.failures import error_message, failure_kind
from workflows.engine import EngineCommand, engine_environment
from workflows.engine_ending import cause_in_words, cause_of_code, cause_of_ending
from workflows.results import is_successful
from workflows.settings import DftSettings
from workflows.vasp import relax_maker

RECORDED = Path(__file__).parents[1] / "campaign" / "playback" / "Al"
SETTINGS = DftSettings(engine="gpaw", quality="fast")
HERMITIAN = " WARNING: Sub-Space-Matrix is not hermitian in DAV            6 -2.345E-03"


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Relax aluminium with a script in the place of VASP, as a firework does; return the task document."""
    from jobflow import JobStore
    from maggma.stores import MemoryStore

    recorded = tmp_path / "recorded"
    recorded.mkdir()
    for path in RECORDED.glob("*.gz"):
        (recorded / path.stem).write_bytes(gzip.decompress(path.read_bytes()))
    folder = tmp_path / "launch"
    folder.mkdir()
    monkeypatch.chdir(folder)

    def run_script(*lines: str, incar: dict | None = None):
        script = tmp_path / "vasp.sh"
        script.write_text("\n".join(lines).replace("RECORDED", str(recorded)))
        structure = Structure.from_file(recorded / "CONTCAR")
        command = EngineCommand(standard=f"bash {script}", gamma=f"bash {script}")
        with engine_environment(SETTINGS):
            maker = relax_maker(structure, SETTINGS, vasp_command=command, incar=incar)
            maker.run_vasp_kwargs["custodian_kwargs"]["polling_time_step"] = 0.1
            job = maker.make(structure)
            store = JobStore(MemoryStore(), additional_stores={"data": MemoryStore()})
            store.connect()
            return job.run(store).output.model_dump()

    return run_script


WHOLE = "cp RECORDED/* ."
CUT = "head -c 3000 RECORDED/OUTCAR > OUTCAR; head -c 5000 RECORDED/vasprun.xml > vasprun.xml; cp RECORDED/CONTCAR ."
LIBRARY = (
    "vasp_std: error while loading shared libraries: libmkl_intel_lp64.so.2: cannot open shared object file: No such"
)


@pytest.mark.parametrize(
    ("lines", "cause"),
    [
        ((CUT, "kill -9 $$"), "killed"),
        ((CUT, "kill -15 $$"), "killed"),
        ((CUT, "kill -11 $$"), "engine_crash"),
        ((CUT, "exit 137"), "killed"),
        ((CUT, "exit 143"), "killed"),
        ((CUT, "exit 139"), "engine_crash"),
        ((CUT, "echo 'forrtl: severe (174): SIGSEGV, segmentation fault occurred' >&2", "exit 174"), "engine_crash"),
        ((CUT, "exit 174"), "engine_crash"),
        (("exit 127",), "not_found"),
        (("exit 126",), "not_found"),
        (("/absent/vasp_std",), "not_found"),
        ((f"echo '{LIBRARY}' >&2", "exit 127"), "library_missing"),
        ((CUT, "exit 1"), "engine_crash"),
        ((CUT, "exit 0"), "incomplete_output"),
        (("exit 0",), "incomplete_output"),
        ((WHOLE, "exit 1"), "engine_crash"),
        ((WHOLE, "kill -9 $$"), "killed"),
        # its warning explains nothing of a run that was killed
        ((CUT, "cp RECORDED/OSZICAR .", f"echo '{HERMITIAN}'", "kill -9 $$"), "killed"),
    ],
)
def test_an_engine_that_dies_is_told_by_its_exit_code(run, lines, cause):
    with pytest.raises(CustodianError) as died:
        run(*lines)
    assert failure_cause(died.value) == cause
    assert failure_kind(died.value, cause=cause) == "machine"


BAD_TERMINATION = """
===================================================================================
=   BAD TERMINATION OF ONE OF YOUR APPLICATION PROCESSES
=   RANK {rank} PID 12345 RUNNING AT node001
=   {said}
===================================================================================
"""
RANKS = "".join(BAD_TERMINATION.format(rank=n, said=f"KILLED BY SIGNAL: {9 if n else 11} (...)") for n in range(3))
PMIX = "mpirun noticed that process rank 3 with PID 0 on node n1 exited on signal 9 (Killed)."


@pytest.mark.parametrize(
    ("said", "code", "cause"),
    [
        (PMIX, 137, "killed"),
        (PMIX, 1, "killed"),
        ("mpirun noticed that process rank 0 exited on signal 11 (Segmentation fault).", 139, "engine_crash"),
        (BAD_TERMINATION.format(rank=3, said="KILLED BY SIGNAL: 9 (Killed)"), 9, "killed"),
        (BAD_TERMINATION.format(rank=3, said="EXIT CODE: 9"), 9, "killed"),
        (BAD_TERMINATION.format(rank=3, said="EXIT CODE: 139"), 1, "engine_crash"),
        (RANKS, 9, "engine_crash"),  # the others are killed for it
        ("YOUR APPLICATION TERMINATED WITH THE EXIT STRING: Killed (signal 9)", 9, "killed"),
        ("srun: error: node001: task 0: Killed\n", 137, "killed"),
        ("srun: error: node001: tasks 0-3: Exited with exit code 174\n", 174, "engine_crash"),
        ("srun: error: n1: task 0: Exited with exit code 127\nsrun: error: n1: task 1: Killed\n", 127, "not_found"),
        ("srun: error: n1: task 0: Out Of Memory\n", 1, "out_of_memory"),
        ("slurmstepd: error: Detected 1 oom_kill event in StepId=12.0. Some of ...", 137, "out_of_memory"),
        ("slurmstepd: error: *** STEP 47.0 ON n1 CANCELLED AT 2026-11-30 DUE TO TIME LIMIT ***", 15, "timeout"),
        ("slurmstepd: error: *** JOB 47 ON n1 CANCELLED AT 2026-11-30 DUE TO PREEMPTION ***", 15, "preempted"),
        ("slurmstepd: error: *** JOB 47 ON n1 CANCELLED AT 2026-11-30 ***", 143, "cancelled"),
        ("=>> PBS: job killed: walltime 3605 exceeded limit 3600", 143, "timeout"),
        ("=>> PBS: job killed: mem 16777216kb exceeded limit 8388608kb", 143, "out_of_memory"),
        ("Terminated", 143, "killed"),
        ("forrtl: error (78): process killed (SIGTERM)", 1, "killed"),
        ("forrtl: severe (41): insufficient virtual memory\nImage PC Routine\n", 41, "out_of_memory"),
        ("Error allocating 123456789 bytes\nError termination.", 1, "out_of_memory"),
        ("0: ALLOCATE: 9000 bytes requested; not enough memory", 127, "out_of_memory"),
        ("forrtl: Disk quota exceeded\nforrtl: severe (38): error during write, unit 12, file OUTCAR", 38, "disk_full"),
        ("forrtl: severe (24): end-of-file during read, unit 10, file /w/POTCAR", 24, "potcar_mismatch"),
        ("forrtl: severe (24): end-of-file during read, unit 12, file /w/WAVECAR", 24, "engine_crash"),
        ("forrtl: severe (24): end-of-file during read, unit 9, file /w/KPOINTS", 24, "input_refused"),
        ("forrtl: severe (29): file not found, unit 10, file /w/POTCAR", 29, "potcar_missing"),
        ("At line 9 of file pot.F (unit = 10, file = 'POTCAR')\nEnd of file", 2, "potcar_mismatch"),
        (" ERROR: number of potentials on File POTCAR incompatible with number of species\n", 1, "potcar_mismatch"),
        (" No POTCAR found, STOPPING\n", 1, "potcar_missing"),
        (" ----> I REFUSE TO CONTINUE WITH THIS SICK JOB ... BYE!!! <----\nMPI_ABORT was invoked", 1, "input_refused"),
        ("|  Your FFT grid is wrong. VASP stops here.  |\n", 1, "input_refused"),
        (" ERROR: there must be 1 or 3 items on line 2 of POSCAR\n", 1, "input_refused"),
        (" VASP: no valid license found\n", 1, "license_missing"),
        ("Could not checkout a license from 27000@licserver", 1, "license_missing"),
        (" LICENSE EXPIRED\n", 0, "license_missing"),
        ("vasp_std: /lib64/libc.so.6: version `GLIBC_2.34' not found (required by vasp_std)", 1, "library_missing"),
        ("slurmstepd: error: execve(): vasp_std: No such file or directory\nExited with exit code 2", 2, "not_found"),
        ("[proxy:0:0@n1] HYDU_create_process: execvp error on file vasp_std (No such file)", 255, "not_found"),
        ("mpirun was unable to find the specified executable file, and therefore ...", 134, "not_found"),
        ("bash: line 1: vasp_std: command not found", 127, "not_found"),
        ("run.sh: line 2: module: command not found", -9, "killed"),  # VASP ran all the same
        # warnings of healthy clusters say nothing of the end
        ("libibverbs: Warning: couldn't load driver 'libmlx4.so': cannot open shared object file", 139, "engine_crash"),
        ("mca_base_component_open: librdmacm.so.1: cannot open shared object file (ignored)", 137, "killed"),
        ("ERROR: ld.so: object 'a.so' from LD_PRELOAD (cannot open shared object file): ignored.", 137, "killed"),
        ("mlx5: ibv_reg_mr failed: Cannot allocate memory", 139, "engine_crash"),
        ("for licensed users only. Access without a licence is not allowed.", 139, "engine_crash"),
        ("Lmod: module(s) are unknown: mkl\nforrtl: severe (174): SIGSEGV", 174, "engine_crash"),
        (" internal error in: mpi.F  at line: 898\n I REFUSE TO CONTINUE WITH THIS SICK JOB", 1, "engine_crash"),
        ("srun: error: Unable to create step for job 4711: More processors requested", 1, "engine_crash"),
        ("Fatal error in PMPI_Init_thread: Other MPI error, error stack:", 255, "engine_crash"),
        (" POSCAR, INCAR and KPOINTS ok, starting setup\n WARNING: small aliasing errors", 0, None),
        ("", -9, "killed"),
        ("", -25, "disk_full"),
        ("", -24, "timeout"),
        ("", None, None),
    ],
)  # fmt: skip
def test_the_words_of_vasp_mpi_loader_and_scheduler_are_understood(tmp_path, said, code, cause):
    for file in ("vasp.out", "std_err.txt"):
        (tmp_path / file).write_text(said)
        assert cause_of_ending(tmp_path, code) == cause
        (tmp_path / file).unlink()


def test_what_the_scheduler_says_stands_in_the_file_of_the_job(tmp_path):
    (tmp_path / "std_err.txt").write_text("srun: error: n1: task 0: Terminated\n")
    (tmp_path / "FW_job-12.error").write_text(
        "slurmstepd: error: *** JOB 12 ON n1 CANCELLED AT x DUE TO TIME LIMIT ***\n"
    )
    assert cause_of_ending(tmp_path, 143) == "timeout"
    (tmp_path / "FW_job-12.error").write_text("slurmstepd: error: *** JOB 12 ON n1 CANCELLED AT x ***\n")
    assert cause_of_ending(tmp_path, 143) == "cancelled"
    (tmp_path / "FW_job-12.error").write_text("module: command not found\nvasp: license error\n")
    assert cause_of_ending(tmp_path, 143) == "killed"
    assert cause_in_words(tmp_path / "absent") is None


def test_an_exit_code_that_is_no_signal_is_a_crash():
    assert [cause_of_code(code) for code in (0, None, 1, 255, 174, 128 + 9, -6)] == [
        *(None, None, "engine_crash", "engine_crash", "engine_crash"),
        *("killed", "engine_crash"),
    ]


def test_a_warning_without_a_remedy_does_not_end_a_run_that_converges(run):
    task = run(f"echo '{HERMITIAN}'", "sleep 1", WHOLE, "exit 0")
    assert is_successful(task)
    assert not [correction for job in task["custodian"] for correction in job["corrections"]]
    assert not list(Path().glob("error.*"))


@pytest.mark.parametrize(
    "message",
    [" ERROR RSPHER: internal ERROR", " REAL_OPTLAY: internal error", " ERROR: SBESSELITER : nicht konvergent"],
)
def test_every_message_whose_remedies_are_in_the_incar_is_a_warning_where_the_run_converges(run, message):
    assert is_successful(run(f"echo '{message}'", WHOLE, "exit 0"))


def test_a_message_without_a_remedy_gets_another_algo_where_the_run_does_not_converge(run):
    # with ALGO=All it converges
    broken = f"if grep -q 'ALGO = All' INCAR; then {WHOLE}; exit 0; fi"
    task = run(broken, CUT, "cp RECORDED/OSZICAR .", f"echo '{HERMITIAN}'", "exit 1")
    assert is_successful(task)
    (correction,) = [correction for job in task["custodian"] for correction in job["corrections"]]
    assert correction["errors"] == ["subspacematrix"]
    assert correction["actions"] == [{"dict": "INCAR", "action": {"_set": {"ALGO": "All"}}}]
    with tarfile.open("error.1.tar.gz") as kept:
        assert any(name.endswith("OUTCAR") for name in kept.getnames())


def test_a_run_that_nothing_helps_ends_with_the_code_and_a_readable_error(run):
    with pytest.raises(CustodianError) as died:
        run(CUT, "cp RECORDED/OSZICAR .", f"echo '{HERMITIAN}'", "exit 1")
    assert failure_cause(died.value) == "custodian:subspacematrix"
    assert failure_kind(died.value, cause="custodian:subspacematrix") == "science"
    assert "VaspErrorHandler" in error_message(died.value)
    assert "0x" not in error_message(died.value)
    # once for itself, once with another ALGO, no more
    assert len(list(Path().glob("error.*.tar.gz"))) == 1
    # before the first electronic step no ALGO helps
    shutil.rmtree(Path.cwd(), ignore_errors=True)


def test_a_remedy_that_changes_something_is_applied_as_before(run):
    healed = f"if grep -q 'NBANDS' INCAR; then {WHOLE}; exit 0; fi"
    task = run(healed, CUT, "echo ' TOO FEW BANDS'", "exit 1", incar={"NBANDS": 16})
    assert is_successful(task)


def test_what_needs_more_memory_is_no_verdict_on_the_calculation(run):
    with pytest.raises(CustodianError) as died:
        run(CUT, "echo ' Allocation would exceed memory limit' >&2", "exit 1")
    assert (failure_cause(died.value), failure_kind(died.value, cause="out_of_memory")) == ("out_of_memory", "machine")


def test_an_incar_that_vasp_cannot_read_is_refused(run):
    with pytest.raises(CustodianError) as died:
        run("echo ' Error reading item FOO from file INCAR.'", "exit 1")
    assert failure_cause(died.value) == "input_refused"
    assert json.loads(Path("custodian.json").read_text())[0]["corrections"]


def test_each_calculation_has_handlers_of_its_own_that_can_be_stored():
    from monty.json import MontyDecoder

    from workflows.error_handlers import error_handlers

    first, second = error_handlers(), error_handlers()
    assert not {id(handler) for handler in first} & {id(handler) for handler in second}
    for handler in first:
        again = MontyDecoder().process_decoded(json.loads(json.dumps(handler.as_dict(), default=str)))
        assert repr(type(again)) == repr(type(handler))


def test_a_program_that_is_not_there_and_one_that_cannot_be_run_are_not_found(tmp_path):
    import subprocess

    (tmp_path / "vasp").write_text("no program")
    for program in (tmp_path / "absent", tmp_path / "vasp", tmp_path):
        with pytest.raises(OSError) as refused:  # noqa: PT011 which one depends on the program
            subprocess.Popen([program])
        assert failure_cause(refused.value, tmp_path) == "not_found"
    with pytest.raises(OSError) as denied:  # noqa: PT011
        os.listdir("/proc/1/fd" if os.getuid() else "/proc/self/fdinfo/none")
    assert failure_cause(denied.value, tmp_path) in ("PermissionError", "not_found")


def test_a_potcar_that_pymatgen_does_not_find_is_named_so(tmp_path, monkeypatch):
    from pymatgen.core import SETTINGS as PMG
    from pymatgen.io.vasp import PotcarSingle

    monkeypatch.delitem(PMG, "PMG_VASP_PSP_DIR", raising=False)
    with pytest.raises(Exception) as unset:  # noqa: PT011
        PotcarSingle.from_symbol_and_functional("Al", "PBE")
    assert failure_cause(unset.value, tmp_path) == "potcar_missing"
    monkeypatch.setitem(PMG, "PMG_VASP_PSP_DIR", str(tmp_path))
    with pytest.raises(Exception) as absent:  # noqa: PT011
        PotcarSingle.from_symbol_and_functional("Al", "PBE")
    assert failure_cause(absent.value, tmp_path) == "potcar_missing"
