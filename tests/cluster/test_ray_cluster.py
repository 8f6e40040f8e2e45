"""A Ray cluster inside a SLURM job: losing a node must lose no candidate, and the end must leave no process."""

import json
import re
import stat
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import numpy as np
import psutil
import pytest
from slurm_cluster import SlurmCluster

pytestmark = [pytest.mark.slurm, pytest.mark.ray, pytest.mark.keras]

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "launchers" / "ray_cluster" / "ray_cluster.sh"
BUNDLE = ROOT / "esnet" / "bundles" / "gpaw-fast-binary"
DRIVER = Path(__file__).with_name("score_in_allocation.py")
LIMIT_S = 240


def test_a_lost_node_loses_no_candidate_and_no_process_is_left(slurm: SlurmCluster, tmp_path: Path) -> None:
    samples = write_samples(tmp_path, 10)
    job = submit(slurm, tmp_path)
    expected = predicted_here(samples)
    folder = tmp_path / f"ray-cluster-{job}"
    await_file(slurm, tmp_path / "second_node_reads", job)

    # while it runs: one token, which nobody else can read
    token = (folder / "token").read_text().strip()
    assert stat.S_IMODE((folder / "token").stat().st_mode) == 0o600
    assert len(token) == 64
    assert processes_of(job)
    assert not [line for line in command_lines() if token in line]
    assert token not in (tmp_path / "job.txt").read_text()
    # what the dashboard shows, to who has the token
    dashboard = (folder / "dashboard").read_text().strip()
    with pytest.raises(urllib.error.HTTPError, match="401"):
        fetch(f"{dashboard}/api/jobs/", token=None)
    names = [found["metadata"].get("job_name") for found in fetch(f"{dashboard}/api/jobs/", token=token)]
    assert "alloys/screen/0" in names
    actors = fetch(f"{dashboard}/api/v0/actors", token=token)["data"]["result"]["result"]
    alive = sorted(re.sub(r" \(\w+\)$", "", found["name"]) for found in actors if found["state"] == "ALIVE")
    assert alive == ["alloys/screen/0 scorer 1", "alloys/screen/0 scorer 2"]
    (tmp_path / "both_were_seen").touch()

    # one node goes, with an actor that has a batch
    step = (folder / "step-1").read_text().strip()
    slurm.run("scancel", "--signal=KILL", f"{job}.{step}")
    await_file(slurm, tmp_path / "result.json", job)
    result = json.loads((tmp_path / "result.json").read_text())
    assert [name for name, _ in result["scored"]] == samples["ids"].tolist()
    assert sorted(result["answered"]) == sorted(samples["ids"].tolist())
    assert np.allclose([energy for _, energy in result["scored"]], expected, atol=1e-5)

    # as at the end of the walltime with --signal=B:INT@60
    slurm.run("scancel", "--batch", "--signal=INT", job)
    await_end(slurm, job)
    assert "ExitCode=7:0" in slurm.run("scontrol", "show", "job", job).stdout
    assert processes_of(job) == []
    assert not list(Path("/tmp").glob(f"ray-{job}-*"))
    assert sorted(path.name for path in folder.iterdir()) == ["node-0.log", "node-1.log"]
    assert "node cpu2 was lost" in (tmp_path / "job.txt").read_text()


def write_samples(folder: Path, count: int) -> dict[str, np.ndarray]:
    from esnet.representation.composition import composition_vector

    rng = np.random.default_rng(3)
    samples = {
        "ids": np.array([f"candidate-{number}" for number in range(count)]),
        "dos": rng.random((count, 2, 1500, 9), dtype=np.float32),
        "compositions": np.stack([composition_vector({"Al": 1, "Pd": 1})] * count),
    }
    np.savez(folder / "samples.npz", **samples)
    return samples


def predicted_here(samples: dict[str, np.ndarray]) -> np.ndarray:
    from esnet.bundle.bundle import Bundle

    return Bundle.load(BUNDLE).predict(samples["dos"], samples["compositions"])


def submit(slurm: SlurmCluster, folder: Path) -> str:
    """Submit a job of two nodes of one core; it finds the Ray of its allocation without RAY_ADDRESS and token."""
    command = f"env -u RAY_ADDRESS -u RAY_AUTH_TOKEN -u RAY_AUTH_MODE {sys.executable} {DRIVER} {folder} {BUNDLE}"
    settings = f"--python {sys.executable} --addresses 127.0.0.2,127.0.0.3 --object-store-mb 100"
    (folder / "job.sh").write_text(f"#!/bin/bash\nexec bash {SCRIPT} {settings} {command}\n")
    options = ("--partition=cpu", "--nodes=2", "--ntasks-per-node=1", "--cpus-per-task=1", "--mem=4000", "--time=10")
    more = ("--no-kill", "--signal=B:INT@60", f"--chdir={folder}", f"--output={folder}/job.txt", "--parsable")
    environment = {"PYTHONPATH": str(ROOT)}
    # SLURM_SUBMIT_DIR is the folder that sbatch is called in
    call = ("env", "-C", str(folder), "sbatch", *options, *more, str(folder / "job.sh"))
    return slurm.run(*call, environment=environment).stdout.strip()


def fetch(url: str, *, token: str | None) -> list | dict:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=30) as answer:
        return json.load(answer)


def await_file(slurm: SlurmCluster, path: Path, job: str) -> None:
    deadline = time.monotonic() + LIMIT_S
    while not path.exists():
        said = path.parent / "job.txt"
        state = slurm.run("squeue", "-h", "-j", job, "-o", "%T", check=False).stdout.strip()
        running = state in ("PENDING", "CONFIGURING", "RUNNING")
        text = said.read_text() if said.exists() else ""
        if not running or time.monotonic() > deadline:
            pytest.fail(f"{path.name} does not come, job {state}:\n{text[-3000:]}")
        time.sleep(0.5)


def await_end(slurm: SlurmCluster, job: str) -> None:
    deadline = time.monotonic() + LIMIT_S
    while slurm.run("squeue", "-h", "-j", job, "-o", "%T", check=False).stdout.strip():
        assert time.monotonic() < deadline, "the job does not end"
        time.sleep(0.5)


def processes_of(job: str) -> list[str]:
    """Processes of the Ray of a job, by the temporary folder in their environment or command line."""
    found = []
    for process in psutil.process_iter():
        try:
            text = " ".join([*process.cmdline(), process.environ().get("RAY_TMPDIR", "")])
        except (psutil.NoSuchProcess, psutil.AccessDenied, psutil.ZombieProcess):
            continue
        if re.search(rf"/tmp/ray-{job}-\d", text):
            found.append(f"{process.pid} {text}")
    return found


def command_lines() -> list[str]:
    lines = []
    for process in psutil.process_iter():
        try:
            lines.append(" ".join(process.cmdline()))
        except (psutil.NoSuchProcess, psutil.AccessDenied, psutil.ZombieProcess):
            continue
    return lines
