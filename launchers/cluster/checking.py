"""Check a cluster's files by using them: run the node check here, and as a small real job in each queue."""

import contextlib
import json
import shlex
import subprocess
import tempfile
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from launchers.cluster.errors import ClusterError
from launchers.cluster.launch_files import exec_prefix, launch_files, load_adapter, qadapter_path
from launchers.cluster.node_check import Finding
from launchers.cluster.queue_filler import collected_messages, scheduler_words
from launchers.cluster.scheduler_check import (
    cancel,
    changed_files,
    correction,
    no_answer,
    scheduler_findings,
    why_it_waits,
)
from launchers.cluster.site import CATEGORIES, SiteSettings
from launchers.cluster.walltime import seconds, text

_HERE_S = 300
_POLL_S = 0.5
_JOB_WALLTIME_S = 600


@dataclass(frozen=True)
class Checked:
    """Findings of one place: this machine, or a node of a queue."""

    place: str
    findings: list[Finding]


@dataclass(frozen=True)
class EngineQuestions:
    """Requirements of campaigns for VASP on a node, besides the site's own command line.

    Attributes
    ----------
    commands
        Command lines of VASP.
    potcars
        Elements whose POTCARs are needed, by set.
    """

    commands: Sequence[str] = ()
    potcars: Mapping[str, Sequence[str]] = field(default_factory=dict)


def check_here(site: SiteSettings, folder: Path, questions: EngineQuestions) -> tuple[Checked, dict[str, str]]:
    """Check the launch files and run the node check on this machine; return findings and versions."""
    found = [_look_at_files(site, folder)]
    with tempfile.TemporaryDirectory(prefix="cluster-check-") as temporary:
        output = Path(temporary) / "here.json"
        script = "\n".join([*site.shell_lines("dos"), f"exec {shlex.join(_command(site, output, questions))}"])
        try:
            done = subprocess.run(
                ["bash", "-l", "-c", script], capture_output=True, text=True, timeout=_HERE_S, check=False
            )
            said = done.stderr
        except subprocess.TimeoutExpired:
            said = f"no answer within {_HERE_S} s"
        if not output.is_file():
            remedy = "look at python:, modules: and environment: in cluster.yaml"
            last = said.strip().splitlines()[-1:] or ["it said nothing"]
            return Checked("here", [*found, Finding(f"the check itself did not run: {last[0]}", remedy)]), {}
        report = json.loads(output.read_text(encoding="utf-8"))
    return Checked(f"here ({report['host']})", [*found, *_of(report)]), report["versions"]


def check_scheduler(site: SiteSettings, folder: Path) -> tuple[list[Checked], list[str]]:
    """Query the scheduler about the jobs of each category, without submitting anything.

    Returns
    -------
    Findings, with problems common to several categories listed once; and the categories whose jobs would be accepted.
    """
    wrong = scheduler_findings(site, folder)
    good = [name for name in CATEGORIES if name not in wrong and qadapter_path(folder, name).is_file()]
    alike: dict[Finding, list[str]] = {}
    for category, finding in wrong.items():
        alike.setdefault(finding, []).append(category)
    found = [Checked(f"{', '.join(categories)}: as submitted", [finding]) for finding, categories in alike.items()]
    return found, good


def check_queues(
    site: SiteSettings,
    folder: Path,
    here: dict[str, str],
    *,
    wait_s: float,
    categories: Sequence[str] = CATEGORIES,
    questions: Mapping[str, EngineQuestions],
    on_submitted: Callable[[str], None],
) -> Generator[Checked, None, None]:
    """Run the node check as a job in the queue of each category; all wait at the same time.

    Jobs that have not reported by the time limit, or when the caller stops waiting, are cancelled.

    Parameters
    ----------
    here
        Versions on this machine, which those of the nodes must equal.
    wait_s
        Time to wait for the jobs, in s.
    questions
        Requirements of campaigns for VASP, by category.
    on_submitted
        Is told each job that is waited for, and for how long.
    """
    outputs: dict[str, Path] = {}
    jobs: dict[str, str] = {}
    try:
        site.launch_directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ClusterError(f"launch_directory {site.launch_directory}: {error.strerror}") from None
    with tempfile.TemporaryDirectory(prefix=".cluster-check-", dir=site.launch_directory) as temporary:
        try:
            for category in categories:
                output = Path(temporary) / f"{category}.json"
                job = _submit(site, folder, category, output, questions.get(category, EngineQuestions()))
                if isinstance(job, Finding):
                    yield Checked(f"{category}: queue {site.queues[category].queue}", [job])
                else:
                    outputs[category], jobs[category] = output, job
                    on_submitted(f"{category}: job {job} in queue {site.queues[category].queue}")
            if outputs:
                on_submitted(f"waiting for their reports, for {wait_s:.0f} s at most (--wait); Ctrl-C cancels the jobs")
            deadline = time.monotonic() + wait_s
            while outputs and time.monotonic() < deadline:
                for category, output in list(outputs.items()):
                    if output.is_file():
                        report = json.loads(output.read_text(encoding="utf-8"))
                        yield _compared(site, category, report, here)
                        del outputs[category]
                time.sleep(_POLL_S)
            for category, output in outputs.items():
                silent = _silent(output, category, wait_s, why_it_waits(site, jobs[category]))
                yield Checked(f"{category}: queue {site.queues[category].queue}", [silent])
        finally:
            # their output folder is about to be removed
            for category in outputs:
                cancel(site, jobs[category])


def _look_at_files(site: SiteSettings, folder: Path) -> Finding:
    absent = [path.name for path in launch_files(site, folder.absolute()) if not path.is_file()]
    if absent:
        return Finding(f"launch files: {', '.join(absent)} missing", f"campaign cluster init {folder} --again")
    if changed := changed_files(site, folder):
        return Finding(
            f"launch files: {', '.join(changed)} differ from cluster.yaml, and jobs use them as they are",
            f"`campaign cluster init {folder} --again` rewrites them from cluster.yaml; edits in them are lost",
            is_warning=True,
        )
    return Finding("launch files: as cluster.yaml says")


def _command(site: SiteSettings, output: Path, questions: EngineQuestions) -> list[str]:
    command = [str(site.python), "-m", "launchers.cluster.node_check", "--launchpad", str(site.launchpad)]
    command += ["--directory", str(site.launch_directory), "--output", str(output)]
    lines = dict.fromkeys([*([] if site.vasp_command is None else [site.vasp_command]), *questions.commands])
    return [
        *command,
        *(f"--command={line}" for line in lines),
        *(f"--potcars={functional}:{','.join(elements)}" for functional, elements in questions.potcars.items()),
    ]


def _of(report: dict[str, Any]) -> list[Finding]:
    return [Finding(**finding) for finding in report["findings"]]


def _submit(site: SiteSettings, folder: Path, category: str, output: Path, questions: EngineQuestions) -> str | Finding:
    """Submit the node check with the category's own adapter; return the job's id, or the problem."""
    adapter = load_adapter(folder, category)
    adapter["rocket_launch"] = f"{exec_prefix(site)} {shlex.join(_command(site, output, questions))}"
    adapter["job_name"] = f"check-{category}"
    adapter["walltime"] = text(min(_JOB_WALLTIME_S, seconds(site.queues[category].walltime)))
    work = output.parent / category
    work.mkdir()
    script = work / "check.script"
    script.write_text(adapter.get_script_str(str(work)), encoding="utf-8")
    with collected_messages(f"qadapter.{adapter.q_name}") as said, contextlib.chdir(work):
        job = adapter.submit_to_queue(str(script))
    if job:
        return str(job)
    return no_answer(site) or Finding(
        f"submission rejected: {scheduler_words(said)}",
        correction(site, folder, category, f"correct queues.{category} or the account"),
    )


def _silent(output: Path, category: str, wait_s: float, state: str | None) -> Finding:
    errors = [
        line for path in sorted((output.parent / category).glob("*err*")) for line in path.read_text().splitlines()
    ]
    if errors:
        return Finding(f"the job ended without a report: {errors[-1]}", "look at python:, modules: and environment:")
    said = f"no report of its job within {wait_s:.0f} s" + (f": {state}" if state else "") + "; it was cancelled"
    return Finding(said, "wait longer with --wait; is the queue busy or down?")


def _compared(site: SiteSettings, category: str, report: dict[str, Any], here: dict[str, str]) -> Checked:
    node = report.get("node") or report["host"]
    found = _of(report)
    other = [
        f"{name} {report['versions'].get(name)} there, {mine} here"
        for name, mine in here.items()
        if report["versions"].get(name) != mine
    ]
    if other:
        found.append(
            Finding(f"versions: {'; '.join(other)}", "let the jobs use this environment: python: in cluster.yaml")
        )
    else:
        found.append(Finding("versions: as here"))
    return Checked(f"{category}: queue {site.queues[category].queue}, node {node}", found)
