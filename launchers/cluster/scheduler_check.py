"""Query the scheduler, without submitting, whether it would accept and start the jobs of each category."""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from launchers.cluster.launch_files import launch_files, load_adapter, qadapter_path
from launchers.cluster.node_check import Finding
from launchers.cluster.site import CATEGORIES, SiteSettings
from launchers.cluster.walltime import seconds, text
from launchers.scheduler.command import answer, failure
from launchers.scheduler.slurm import Slurm

_COMMANDS = {"slurm": ("sbatch", "squeue"), "pbs": ("qsub", "qstat")}
_ASK_S = 60


def scheduler_findings(site: SiteSettings, folder: Path) -> dict[str, Finding]:
    """Return problems of each category's jobs, exactly as they would be submitted.

    On SLURM this uses `sbatch --test-only` and the partition's time limit: unless a site enforces that at submission, a
    job that requests more is accepted and never starts. PBS has no such test; there only its commands are checked.

    Parameters
    ----------
    site, folder
        The cluster and its launch files; a category without a file is skipped.

    Returns
    -------
    A finding for each category with a problem, in the order of `CATEGORIES`.
    """
    absent = [name for name in _COMMANDS[site.scheduler] if shutil.which(name) is None]
    if absent:
        what = f"{', '.join(absent)} not in the PATH of this shell, so no job can be submitted from here"
        remedy = f"use a login node, or load the module of {site.scheduler.upper()}; or is scheduler: right?"
        return dict.fromkeys(CATEGORIES, Finding(what, remedy))
    if (silent := no_answer(site)) is not None:
        return dict.fromkeys(CATEGORIES, silent)
    if site.scheduler != "slurm":
        return {}
    there = [category for category in CATEGORIES if qadapter_path(folder, category).is_file()]
    found = {
        category: _would_be_rejected(site, folder, category) or _never_starts(site, folder, category)
        for category in there
    }
    return {category: finding for category, finding in found.items() if finding is not None}


def no_answer(site: SiteSettings) -> Finding | None:
    """Return the finding that SLURM itself does not answer, with its message; None if it does, and for PBS.

    The exit codes of qstat differ between systems: one with an empty queue may look like a failure.
    """
    said = failure(("squeue", "-h", "-u", str(os.getuid())), timeout_s=_ASK_S) if site.scheduler == "slurm" else None
    if said is None:
        return None
    words = "; ".join(line.strip() for line in said.splitlines() if line.strip())
    return Finding(
        f"the scheduler does not answer: {words}",
        "try again later; `scontrol ping` says whether it is up. cluster.yaml cannot be checked until then",
    )


def changed_files(site: SiteSettings, folder: Path) -> list[str]:
    """Return the names of the launch files that differ from what cluster.yaml would give."""
    files = launch_files(site, folder.absolute()).items()
    return [path.name for path, wanted in files if path.is_file() and path.read_text(encoding="utf-8") != wanted]


def correction(site: SiteSettings, folder: Path, category: str, what: str) -> str:
    """Return the remedy for jobs of a category: change `what`, unless the launch file is merely out of date."""
    again = f"`campaign cluster init {folder} --again`"
    name = qadapter_path(folder, category).name
    if name in changed_files(site, folder):
        return (
            f"{name} is not what cluster.yaml says: {again} rewrites it; if that is not enough, {what} in cluster.yaml"
        )
    return f"{what} in cluster.yaml, then run {again}"


def cancel(site: SiteSettings, job: str) -> None:
    """Cancel a job; a finished one is ignored."""
    answer(("scancel" if site.scheduler == "slurm" else "qdel", job))


def why_it_waits(site: SiteSettings, job: str) -> str | None:
    """Return the state of a job and its reason in SLURM's words; None if there is no answer."""
    if site.scheduler != "slurm":
        return None
    said = (answer(("squeue", "-h", "-j", job, "-o", "%T (%r)")) or "").split("\n")[0].strip()
    return said.removesuffix(" (None)") or None


def _would_be_rejected(site: SiteSettings, folder: Path, category: str) -> Finding | None:
    with tempfile.TemporaryDirectory(prefix="cluster-check-") as temporary:
        script = Path(temporary) / "check.script"
        adapter = load_adapter(folder, category)
        script.write_text(adapter.get_script_str(str(site.launch_directory)), encoding="utf-8")
        command = ["sbatch", "--test-only", str(script)]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=_ASK_S, check=False)
        except subprocess.TimeoutExpired:
            return Finding(f"sbatch gave no answer within {_ASK_S} s", "is the controller up? see `scontrol ping`")
    if done.returncode == 0:
        return None
    words = "; ".join(line.removeprefix("sbatch: error: ").strip() for line in done.stderr.splitlines() if line.strip())
    return Finding(
        f"the scheduler would reject its jobs: {words or 'it gave no reason'}",
        correction(site, folder, category, "correct queue, resources or account"),
    )


def _never_starts(site: SiteSettings, folder: Path, category: str) -> Finding | None:
    adapter = load_adapter(folder, category)  # the file that is submitted, which the user may have edited
    try:
        asked = seconds(str(adapter["walltime"]))
    except (KeyError, ValueError):
        return None
    partition = adapter.get("queue")
    longest = Slurm().longest_time_s(partition)
    if longest is None or asked <= longest:
        return None
    return Finding(
        f"its jobs would never start: they request {text(asked)}, but partition {partition} allows at most "
        f"{text(int(longest))}",
        correction(site, folder, category, "choose another walltime or queue"),
    )
