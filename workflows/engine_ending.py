"""Determine why an engine stopped early: from its output, that of MPI, loader and scheduler, and its exit code.

custodian checks the files first, and the exit code only if they are complete, so for a VASP that died early it only
reports a missing or truncated file. The evidence is considered in order of its strength.
"""

import re
import signal
import subprocess
import traceback
from collections.abc import Iterable
from pathlib import Path
from types import FrameType

from custodian.custodian import Custodian

_TAIL_BYTES = 100_000
#: Files of the engine's output under custodian, and of a batch system's messages about a job.
_OF_ENGINE = ("vasp.out", "std_err.txt")
_OF_JOB = ("*.error", "*.err")

#: Consequences of a full disk, the scheduler or a lack of memory (a segmentation fault, other killed ranks) are
#: reported too, so causes are looked for in this order.
_WORDS: tuple[tuple[str, str], ...] = (
    (
        "disk_full",
        r"No space left on device|(?i:quota exceeded)|File too large|PGFIO-F-\d+/.*disk full|forrtl: severe \(38\)",
    ),
    (
        "timeout",
        r"DUE TO TIME LIMIT|job killed: (?:walltime|cput)|walltime \S+ exceeded limit|TERM_RUNLIMIT|"
        r"(?i:cpu time limit exceeded)",
    ),
    ("preempted", r"DUE TO PREEMPTION"),
    ("node_fail", r"DUE TO NODE FAILURE"),
    (
        "out_of_memory",
        r"oom[-_]kill|(?i:out of memory)|OUT_OF_MEMORY|(?i:insufficient virtual memory)|"
        # most runs continue if an InfiniBand driver cannot lock memory
        r"^(?!.*(?:\bibv_|\bmlx\d|\bUCX\b|max locked memory)).*Cannot allocate memory|"
        r"(?i:exceeded (?:job |step )?memory limit)|job killed: \w*mem|TERM_MEMLIMIT|std::bad_alloc|"
        r"Allocation would exceed memory limit|(?i:not enough memory)|Error allocating \d+|forrtl: severe \(41\)|"
        r"(?i:memory allocation (?:failed|error))|(?i:virtual memory exhausted)|(?i:unable to allocate (?!resources))",
    ),
    (
        "library_missing",
        r"error while loading shared libraries|symbol lookup error|"
        # healthy clusters warn of missing drivers
        r"^(?!.*(?i:ignored|warning|couldn't load driver|mca_|LD_PRELOAD)).*cannot open shared object file|"
        r"version [`'\"]\S+ not found \(required by|(?i:cannot load lib\w+)|Library not loaded",
    ),
    (
        "license_missing",
        r"(?i)^(?=.*\blicen[cs]e)(?=.*(?:fail|denied|expire|not valid|invalid|could not|unable to|missing|\berror\b|"
        r"not found|no such|not available|unavailable|no (?:\w+ )?licen[cs]e|number exceeded))|flexlm",
    ),
    ("input_refused", r"nothing was computed"),  # by vasp-gpaw
    (
        "potcar_missing",
        r"(?i)POTCAR.*(?:not found|no such file|does not exist|missing|could not|cannot|unable)|\bno POTCAR\b|"
        r"(?:file not found|could not|cannot|unable|failed to|missing).*POTCAR",
    ),
    (
        "potcar_mismatch",
        r"(?i)POTCAR.*(?:incompatible|inconsistent|mismatch|not match|corrupt|damaged|end[- ]of[- ]file)|"
        r"(?:incompatible|inconsistent|mismatch|not match|end[- ]of[- ]file|\berror\b).*POTCAR|"
        r"\bfile = '[^']*POTCAR'",
    ),
    (
        "not_found",
        r"(?i)execve\(\): .*(?:No such file|Permission denied|Exec format)|execvp error on file|Exec format error|"
        r"unable to find the specified executable|unable to launch the specified application|"
        r"could not access or execute an executable",
    ),
    # VASP 6 prints the banner "I REFUSE TO CONTINUE" below these too
    ("engine_crash", r"internal error in:"),
    (
        "input_refused",
        r"I REFUSE TO CONTINUE|SICK JOB|(?i:vasp (?:will )?stops?\b)|Error reading item|Error code was IERR|"
        r"(?i:\berror\b.*(?:INCAR|POSCAR|KPOINTS)\b)|severe \((?:24|29|59|64)\).*(?:INCAR|POSCAR|KPOINTS)|"
        r"\bfile = '[^']*(?:INCAR|POSCAR|KPOINTS)'",
    ),
    ("cancelled", r"\*\*\* JOB \S+ ON \S+ CANCELLED AT"),
    # of one rank, for which the others are killed
    (
        "engine_crash",
        r"SIGSEGV|(?i:segmentation (?:fault|violation))|SIGBUS|Bus error|SIGFPE|(?i:floating point exception)|SIGILL|"
        r"(?i:illegal instruction)|SIGABRT|Aborted \(|task\S* \S+ Aborted|(?i:\bsignal:? (?:4|6|7|8|11)\b)",
    ),
)
_RULES = tuple((cause, re.compile(pattern, flags=re.MULTILINE)) for cause, pattern in _WORDS)
#: Interventions from outside, however custodian interprets the run's other messages.
FROM_OUTSIDE = frozenset({"disk_full", "timeout", "preempted", "node_fail", "out_of_memory"})
#: Messages of mpirun and srun about single ranks; the first rank that ended made them stop the others.
_RANK = re.compile(
    r"(?i:exit code:?\s+(?P<code>\d+))|(?i:signal:? (?P<signal>1|2|9|15)\b)|SIGTERM|SIGKILL|process killed|"
    r"\btasks? \S+: (?:Killed|Terminated)|^(?:\S+: )?(?:line \d+: )?(?: *\d+ )?(?:Killed|Terminated)\b|PBS: job killed",
    flags=re.MULTILINE,
)
#: Messages with other possible reasons, which only count if nothing else is known.
_WEAK = (
    (
        "not_found",
        re.compile(r"command not found|: not found$|module\(s\) (?:are unknown|cannot be loaded)", flags=re.MULTILINE),
    ),
    ("killed", re.compile(r"\*\*\* STEP \S+ ON \S+ CANCELLED AT")),
)
_BY_SIGNAL = {
    **dict.fromkeys((signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS, signal.SIGFPE, signal.SIGILL), "engine_crash"),
    **dict.fromkeys((signal.SIGTRAP, signal.SIGSYS), "engine_crash"),
    signal.SIGXCPU: "timeout",
    signal.SIGXFSZ: "disk_full",
}
_NOT_EXECUTABLE, _NO_COMMAND = 126, 127


def cause_in_words(folder: Path) -> str | None:
    """Return the cause evident from the output in a launch directory, including the batch job's, or None.

    Parameters
    ----------
    folder
        Folder with ``vasp.out`` and ``std_err.txt``.
    """
    found = _first(_output(folder), _RULES)
    if found in FROM_OUTSIDE:
        return found
    of_job = _cause_of_job(folder)
    return of_job if of_job in FROM_OUTSIDE else found or of_job


def is_of_cancelled_job(folder: Path) -> bool:
    """Whether the batch job of a launch directory was cancelled, according to its own messages."""
    return _cause_of_job(folder) == "cancelled"


def cause_of_code(code: int | None) -> str | None:
    """Return the cause evident from an exit code: minus a signal's number as in Python, or 128 plus it as in shells."""
    if code is None or code == 0:
        return None
    if code in (_NOT_EXECUTABLE, _NO_COMMAND):
        return "not_found"
    number = -code if code < 0 else code - 128
    # 174 and the like are not signals: Intel's runtime ends so after ``severe (174)``
    if number in set(signal.Signals) and 0 < number < signal.SIGRTMIN:
        return _BY_SIGNAL.get(signal.Signals(number), "killed")
    return "engine_crash"


def cause_of_ending(folder: Path, code: int | None) -> str | None:
    """Return the cause evident from output and exit code together; None for exit code 0 without a message.

    Parameters
    ----------
    code
        Result of `exit_code`; None if unknown.
    """
    said = cause_in_words(folder)
    if said is not None:
        return said
    own, output = cause_of_code(code), _output(folder)
    if own not in (None, "engine_crash"):
        return own
    for rank in _RANK.finditer(output):
        number = int(rank["code"]) if rank["code"] else None
        # hydra reports a signal's number as the exit code
        of_rank = "killed" if number in (None, signal.SIGKILL, signal.SIGTERM) else cause_of_code(number)
        if of_rank is not None:
            return of_rank
    return _first(output, _WEAK) or own


def exit_code(error: BaseException) -> int | None:
    """Return the exit code of the engine that a custodian run was waiting for when it raised; None if unknown.

    custodian does not expose the process; it is a local variable of the function that raised.
    """
    code = _code_in(frame for frame, _ in traceback.walk_tb(error.__traceback__))
    if code is None and (found := re.search(r"return code is (-?\d+)", str(error))):
        return int(found.group(1))
    return code


def exit_code_here() -> int | None:
    """Return the exit code from inside an error handler called by custodian; None also while the engine runs."""
    return _code_in(frame for frame, _ in traceback.walk_stack(None))


def _code_in(frames: Iterable[FrameType]) -> int | None:
    for frame in frames:
        if frame.f_code is Custodian._run_job.__code__:
            process = frame.f_locals.get("p")
            return process.returncode if isinstance(process, subprocess.Popen) else None
    return None


def _first(text: str, rules: Iterable[tuple[str, re.Pattern[str]]]) -> str | None:
    return next((cause for cause, pattern in rules if pattern.search(text)), None)


def _cause_of_job(folder: Path) -> str | None:
    """Return the intervention from outside, or the cancellation, in the messages of a batch job; the former first."""
    text = "\n".join(_tail(path) for pattern in _OF_JOB for path in sorted(folder.glob(pattern)))
    return _first(text, [rule for rule in _RULES if rule[0] in (*FROM_OUTSIDE, "cancelled")])


def _output(folder: Path) -> str:
    return "\n".join(_tail(folder / name) for name in _OF_ENGINE)


def _tail(path: Path) -> str:
    try:
        with path.open("rb") as file:
            file.seek(max(path.stat().st_size - _TAIL_BYTES, 0))
            return file.read().decode(errors="replace")
    except OSError:
        return ""
