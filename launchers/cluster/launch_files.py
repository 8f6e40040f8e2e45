"""Files for FireWorks' commands: a FireWorker and a queue adapter for each category."""

import json
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from fireworks import FWorker
from fireworks.queue.queue_adapter import QueueAdapterBase
from fireworks.utilities.fw_serializers import load_object_from_file
from ruamel.yaml.error import YAMLError

from launchers.cluster.errors import ClusterError
from launchers.cluster.site import CATEGORIES, FILE_NAME, SiteSettings
from launchers.cluster.walltime import seconds
from launchers.workers.project_worker import CampaignWorker

TEMPLATE_NAME = "pbs_template.txt"
_Q_TYPE = {"slurm": "SLURM", "pbs": "PBS"}
#: Categories whose fireworks use Ray.
_WITH_RAY = ("screen", "train")
#: FireWorks waits 5 s for squeue by default; a busy controller takes longer.
_STATUS_TIMEOUT_S = 30


def _fworker_path(folder: Path, category: str) -> Path:
    """Return the path of a category's FireWorker file."""
    return folder / f"my_fworker_{category}.yaml"


def qadapter_path(folder: Path, category: str) -> Path:
    """Return the path of a category's queue adapter file."""
    return folder / f"my_qadapter_{category}.yaml"


def launch_files(site: SiteSettings, folder: Path) -> dict[Path, str]:
    """Return the text of every file for FireWorks, by path.

    The folder is the files' absolute location: they refer to each other.
    """
    files: dict[Path, str] = {}
    for category in CATEGORIES:
        files[_fworker_path(folder, category)] = _fworker(site, category)
        files[qadapter_path(folder, category)] = _qadapter(site, folder, category)
    if site.scheduler == "pbs":
        files[folder / TEMPLATE_NAME] = Path(__file__).with_name(TEMPLATE_NAME).read_text(encoding="utf-8")
    return files


def write_new(site: SiteSettings, folder: Path) -> list[Path]:
    """Write `cluster.yaml` and the launch files into a folder without any of them; return their paths.

    Raises
    ------
    ClusterError
        If one of them exists; nothing is written then.
    """
    folder = folder.absolute()
    files = {folder / FILE_NAME: site.to_yaml(), **launch_files(site, folder)}
    there = [path.name for path in files if path.exists()]
    if there:
        raise ClusterError(
            f"{folder}: {', '.join(there)} already exist and are not overwritten; name another folder, or change "
            f"{FILE_NAME} and regenerate the launch files with `campaign cluster init {folder} --again`"
        )
    _write(files)
    return list(files)


def write_again(folder: Path) -> list[Path]:
    """Regenerate the launch files from the folder's `cluster.yaml`, overwriting any edits; return their paths."""
    folder = folder.absolute()
    files = launch_files(SiteSettings.from_file(folder), folder)
    _write(files)
    return list(files)


def load_adapter(folder: Path, category: str) -> QueueAdapterBase:
    """Read a category's queue adapter, which the user may have edited or removed.

    Raises
    ------
    ClusterError
        If it is missing or not a queue adapter.
    """
    path = qadapter_path(folder, category)
    again = f"`campaign cluster init {folder} --again` regenerates it"
    try:
        return load_object_from_file(str(path))
    except FileNotFoundError:
        raise ClusterError(f"{path}: there is no such file; {again}") from None
    except (OSError, YAMLError, ValueError, TypeError, LookupError, AttributeError) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise ClusterError(f"{path}: cannot be read as a queue adapter: {reason}; {again}") from None


def load_fworker(folder: Path, category: str) -> FWorker:
    """Read a category's FireWorker.

    Raises
    ------
    ClusterError
        If it is missing.
    """
    path = _fworker_path(folder, category)
    if not path.is_file():
        raise ClusterError(f"{path}: there is no such file; `campaign cluster init {folder} --again` regenerates it")
    return CampaignWorker.of(FWorker.from_file(str(path)))


def _write(files: dict[Path, str]) -> None:
    for path, text in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def _fworker(site: SiteSettings, category: str) -> str:
    return (
        f"# FireWorker of the category {category}: workers started with it run fireworks of that category only.\n"
        f"name: {site.worker_name(category)}\n"
        f"category: {category}\n"
        "query: '{}'\n"
        "env: {}\n"
    )


def _qadapter(site: SiteSettings, folder: Path, category: str) -> str:
    options = {
        "-l": site.launchpad,
        "-w": _fworker_path(folder, category),
        "-q": qadapter_path(folder, category),
        "--launch_dir": site.launch_directory,
    }
    launch = " ".join(f"{option} {shlex.quote(str(path))}" for option, path in options.items())
    lines = [
        f"# Queue adapter of the category {category}, made by `campaign cluster init` from {FILE_NAME}. By hand, in",
        "# reservation mode (-r: one job for each firework; no other worker takes a queued firework):",
        f"#   qlaunch {launch} \\",
        f"#     -r rapidfire -m {site.queues[category].max_jobs}",
    ]
    for comment, keys in _adapter_keys(site, folder, category):
        lines += [f"# {line}" for line in comment]
        lines += [f"{key}: {_yaml(value)}" for key, value in keys.items() if value is not None]
    return "\n".join(lines) + "\n"


def _yaml(value: object) -> str:
    if isinstance(value, str) and "\n" in value:
        return "|-\n" + "\n".join(f"  {line}" for line in value.splitlines())
    return json.dumps(value, ensure_ascii=False)


def _adapter_keys(site: SiteSettings, folder: Path, category: str) -> Iterator[tuple[list[str], dict[str, Any]]]:
    """Yield groups of keys of a queue adapter, each with the comment above it."""
    queue = site.queues[category]
    template = str(folder / TEMPLATE_NAME) if site.scheduler == "pbs" else None
    yield (
        [],
        {
            "_fw_name": "CommonAdapter",
            "_fw_q_type": _Q_TYPE[site.scheduler],
            "_fw_q_name": site.worker_name(category),
            "_fw_template_file": template,
            "_fw_timeout": _STATUS_TIMEOUT_S,
        },
    )
    yield (
        [
            "By absolute path: the job's shell starts with the site's PATH, not with yours. exec: it takes the shell's",
            "place, which is where the signal goes.",
        ]
        if site.scheduler == "slurm"
        else [
            "By absolute path: the job's shell starts with the site's PATH, not with yours.",
            "timeout interrupts it before the walltime ends: PBS itself would only kill it.",
        ],
        {"rocket_launch": _rocket_launch(site, folder, category)},
    )
    if lines := site.shell_lines(category):
        yield ["What every job begins with."], {"pre_rocket": "\n".join(lines)}
    yield (
        ["The name is for qlaunch without -r; in reservation mode the firework gives its campaign's."],
        {"job_name": site.worker_name(category)},
    )
    yield [], {"queue": queue.queue, "account": site.account}
    if site.scheduler == "slurm":
        yield from _slurm_keys(site, category)
    else:
        yield from _pbs_keys(site, category)
    if queue.adapter:
        yield [f"From queues.{category}.adapter."], dict(queue.adapter)


def _rocket_launch(site: SiteSettings, folder: Path, category: str) -> str:
    """Return the last command of a category's job.

    In reservation mode FireWorks requires the word ``singleshot`` and appends ``--fw_id`` with the reserved firework.
    """
    queue = site.queues[category]
    files = ["-l", str(site.launchpad), "-w", str(_fworker_path(folder, category))]
    if queue.is_packed:
        command = [str(site.python), "-m", "launchers.cluster.multi_launch", *files]
        command += ["--most", str(queue.jobs_per_allocation), "--estimate", str(seconds(queue.estimate))]
        command += ["--margin", str(site.close_s), "--side-by-side", str(queue.side_by_side), "singleshot"]
    else:
        command = [str(site.rlaunch), *files, "singleshot"]
    if site.scheduler == "slurm" and queue.nodes > 1 and category in _WITH_RAY:
        command = [*_ray_cluster(site), *command]
    return f"{exec_prefix(site)} {shlex.join(command)}"


def _ray_cluster(site: SiteSettings) -> list[str]:
    """Return the start of a command line that runs with Ray on all nodes of its job."""
    script = Path(__file__).resolve().parents[1] / "ray_cluster" / "ray_cluster.sh"
    # Ray stops after the programs that use it, both before the time limit
    grace_s = max(5, site.close_s - 15)
    return ["bash", str(script), "--python", str(site.python), "--grace", str(grace_s)]


def exec_prefix(site: SiteSettings) -> str:
    """Return the prefix of a job's program that interrupts it in time."""
    if site.scheduler == "slurm":
        return "exec"
    # without --foreground, the program's children would be interrupted before it can react
    return 'exec timeout --foreground --signal=INT "$close_after_s"'


def _slurm_keys(site: SiteSettings, category: str) -> Iterator[tuple[list[str], dict[str, Any]]]:
    queue = site.queues[category]
    yield (
        [],
        {
            "walltime": queue.walltime,
            "nodes": queue.nodes,
            "ntasks": queue.ntasks,
            "cpus_per_task": queue.cpus_per_task,
            "mem": queue.memory,
        },
    )
    if queue.gpus:
        kind = "gpu" if queue.gpu_type is None else f"gpu:{queue.gpu_type}"
        yield (
            ["SLURM shows the job its own GPUs in CUDA_VISIBLE_DEVICES: leave that variable alone."],
            {"gres": f"{kind}:{queue.gpus}"},
        )
    yield (
        [
            f"{site.close_s} s before the time limit the batch shell, that is rlaunch, is interrupted and marks its",
            "firework as FIZZLED; without B: only srun's steps would hear of it, and it would stay RUNNING.",
        ],
        {"signal": f"B:INT@{site.close_s}"},
    )


def _pbs_keys(site: SiteSettings, category: str) -> Iterator[tuple[list[str], dict[str, Any]]]:
    queue = site.queues[category]
    ranks = queue.ntasks // queue.nodes
    cores = ranks * queue.cpus_per_task
    resources: dict[str, Any]
    memory = None if queue.memory is None else f"{queue.memory.lower()}b"
    if site.pbs_resources == "nodes":
        gpus = f":gpus={queue.gpus}" if queue.gpus else ""
        resources = {"nodes": f"{queue.nodes}:ppn={cores}{gpus}", "mem": memory}
    else:
        chunk = f"{queue.nodes}:ncpus={cores}:mpiprocs={ranks}"
        chunk += f":ngpus={queue.gpus}" if queue.gpus else ""
        resources = {"select": chunk if memory is None else f"{chunk}:mem={memory}"}
    yield [], {**resources, "walltime": queue.walltime}
    yield ["Seconds before the end of the walltime at which the program is interrupted."], {"close_s": site.close_s}
