"""What to do about each kind of failure; docs/failures.md says the same at length."""

from __future__ import annotations

#: By cause, or by what stands before its colon.
_ADVICE = {
    "timeout": "tried again with more time by itself (retries.time_factor); else --set walltime=HH:MM:SS",
    "out_of_memory": "tried again with more memory by itself (retries.memory_factor); else --set memory=8000M",
    "cancelled": "somebody cancelled the job; tried again by itself, then `campaign retry`",
    "node_fail": "the node died; tried again by itself. Many of one node: tell the site, exclude the node",
    "preempted": "the scheduler wanted the node for others; tried again by itself, without end",
    "requeued": "the scheduler put the job back; it runs again by itself, without end",
    "killed": "the process was killed (kill -9, memory, a node that was rebooted); tried again by itself",
    "not_started": "the job ended before it could begin: module, environment or database; see its .error file",
    "interrupted": "rlaunch was interrupted (Ctrl-C); tried again by itself",
    "disk_full": "free some space, then `campaign retry`",
    "database": "the database was away; tried again by itself. See `campaign db status`",
    "not_found": "a program or file is missing on the compute node: check dft.vasp_command and the environment",
    "engine_crash": "look at vasp.out and std_err.txt; often memory or MPI: --set memory=..., --set INCAR.NCORE=...",
    "incomplete_output": "the engine ended without complete files: killed, out of memory or disk full; see its output",
    "input_refused": "vasp-gpaw cannot compute this input; its first line says which tag or element",
    "unusable_output": "the error says what is wrong: another engine's output, or no energy in it",
    "not_converged": "science: --set INCAR.ALGO=All, INCAR.NELM=200; relaxations: INCAR.NSW=200, INCAR.POTIM=0.2",
    "custodian": "science: custodian's remedies were used up; docs/failures.md has its codes, then --set INCAR....",
}
_OTHERWISE = "a fault of the machine or of the program: mend what the error says, then `campaign retry`"


def advice(cause: str) -> str:
    """What a person can do about a cause of `campaign.attempts.causes`."""
    return _ADVICE.get(cause) or _ADVICE.get(cause.split(":")[0]) or _OTHERWISE
