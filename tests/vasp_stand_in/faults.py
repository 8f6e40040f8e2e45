"""How VASP ends otherwise than well: what it, MPI and SLURM say, what it leaves behind, and its exit code."""

from __future__ import annotations

import signal
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Fault:
    """One way to end.

    Attributes
    ----------
    stdout, stderr
        What is said; ``{folder}`` is the working directory.
    code
        Exit code.
    signal
        The process ends itself with this signal; None: with the code.
    written
        Share of OUTCAR and vasprun.xml that is written before; CONTCAR and OSZICAR are written whole, as they are after
        an ionic step. 0: it dies before it writes anything.
    incar
        Tags that a site's wrapper puts into the INCAR on the way.
    """

    stdout: str = ""
    stderr: str = ""
    code: int = 0
    signal: signal.Signals | None = None
    written: float = 0.5
    incar: tuple[tuple[str, str], ...] = ()


_INTEL_MPI = """
===================================================================================
=   BAD TERMINATION OF ONE OF YOUR APPLICATION PROCESSES
=   RANK 3 PID 12345 RUNNING AT node001
=   KILLED BY SIGNAL: 9 (Killed)
===================================================================================
"""
_OPEN_MPI = """--------------------------------------------------------------------------
mpirun noticed that process rank 3 with PID 12345 on node node001 exited on signal 9 (Killed).
--------------------------------------------------------------------------
"""
_TRACE = """Image              PC                Routine            Line        Source
vasp_std           00000000014E3C5D  Unknown               Unknown  Unknown
"""
_OOM_STEP = (
    "slurmstepd: error: Detected 1 oom_kill event in StepId=4711.0. Some of the step tasks have been OOM Killed.\n"
    "srun: error: node001: task 3: Out Of Memory\n"
)

FAULTS: dict[str, Fault] = {
    "kill_9": Fault(signal=signal.SIGKILL),
    "sigterm": Fault(signal=signal.SIGTERM),
    "intel_mpi_kill_9": Fault(stdout=_INTEL_MPI, code=137),
    "open_mpi_kill_9": Fault(stderr=_OPEN_MPI, code=137),
    "oom_slurm": Fault(stderr=_OOM_STEP, code=137),
    "oom_intel_mpi": Fault(stdout=_INTEL_MPI, stderr=_OOM_STEP.splitlines()[0] + "\n", code=137),
    "oom_open_mpi": Fault(stderr=_OPEN_MPI + _OOM_STEP.splitlines()[0] + "\n", code=137),
    "oom_forrtl": Fault(stderr="forrtl: severe (41): insufficient virtual memory\n" + _TRACE, code=41),
    "time_limit_slurm": Fault(
        stderr="slurmstepd: error: *** STEP 4711.0 ON node001 CANCELLED AT 2026-11-30T20:00:00 DUE TO TIME LIMIT ***\n"
        "srun: Job step aborted: Waiting up to 32 seconds for job step to finish.\n",
        code=143,
    ),
    "segv_174": Fault(
        stderr="forrtl: severe (174): SIGSEGV, segmentation fault occurred\n" + _TRACE, code=174, written=0.05
    ),
    "segv_139": Fault(signal=signal.SIGSEGV, written=0.05),
    "not_found_127": Fault(stderr="/usr/bin/bash: line 1: vasp_std: command not found\n", code=127, written=0.0),
    "library_127": Fault(
        stderr="vasp_std: error while loading shared libraries: libmkl_intel_lp64.so.2: cannot open shared object file:"
        " No such file or directory\n",
        code=127,
        written=0.0,
    ),
    "license": Fault(
        stderr="Error: could not check out a license for vasp: no valid license found (-5,357)\n", code=1, written=0.0
    ),
    "potcar_missing": Fault(
        stderr="forrtl: No such file or directory\n"
        "forrtl: severe (29): file not found, unit 10, file {folder}/POTCAR\n" + _TRACE,
        code=29,
        written=0.0,
    ),
    "potcar_mismatch": Fault(
        stdout=" ERROR: number of potentials on File POTCAR incompatible with number of species\n", code=1, written=0.0
    ),
    "disk_full": Fault(
        stderr="forrtl: No space left on device\n"
        "forrtl: severe (38): error during write, unit 12, file {folder}/OUTCAR\n" + _TRACE,
        code=38,
    ),
    "quota": Fault(
        stderr="forrtl: Disk quota exceeded\n"
        "forrtl: severe (38): error during write, unit 12, file {folder}/OUTCAR\n" + _TRACE,
        code=38,
    ),
    "cut_off": Fault(),
    "empty": Fault(written=0.0),
    # what custodian knows and mends
    "zbrent": Fault(
        stdout=" ZBRENT: fatal error in bracketing\n     please rerun with smaller EDIFF, or copy CONTCAR\n"
        "     to POSCAR and continue\n",
        written=1.0,
    ),
    "brmix": Fault(
        stdout=" BRMIX: very serious problems\n the old and the new charge density differ\n", written=0.05, code=1
    ),
    "edddav": Fault(stdout=" Error EDDDAV: Call to ZHEGV failed. Returncode =  12 1  16\n", written=0.05, code=1),
    # what ends well although something is said
    "subspace": Fault(
        stdout=" WARNING: Sub-Space-Matrix is not hermitian in DAV            6 -2.345E-03\n" * 5, written=1.0
    ),
    "changed_incar": Fault(incar=(("ENCUT", "400"), ("LREAL", "Auto")), written=1.0),
}
