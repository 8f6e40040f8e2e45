"""A folder to run campaigns from on the test cluster: my_launchpad.yaml, launch files, a database of its own."""

import json
import os
import sys
import time
import uuid
from pathlib import Path

from fireworks import Firework, ScriptTask
from slurm_cluster import SlurmCluster

from campaign.store.collections import CampaignStore
from launchers.database.settings import DatabaseSettings

BIN = Path(sys.executable).parent
ROOT = Path(__file__).resolve().parents[2]
CATEGORIES = ("train", "screen", "relax", "dos")
#: Jobs of the cheap kind, on the nodes that the test cluster has.
QUEUES = ("--queue", "cpu", "--queue", "screen=gpu", "--queue", "train=gpu", "--gpus", "screen=1")
MEMORY = ("--memory", "900M", "--memory", "screen=3G", "--memory", "train=3G")


class ClusterWorkplace:
    """A user's folder on the login node."""

    def __init__(self, cluster: SlurmCluster, launchpad_file: Path) -> None:
        self.cluster = cluster
        self.folder = launchpad_file.parent
        self.settings = DatabaseSettings.from_file(launchpad_file)
        self.launchpad = self.settings.launchpad()
        self.launchpad.reset("", require_password=False)
        self.store = CampaignStore(self.launchpad.db)
        # FireWorks sleeps for 5 s after each submission by default
        (self.folder / "FW_config.yaml").write_text("QUEUE_UPDATE_INTERVAL: 0\n")
        self.environment = {
            **cluster.environment,
            "PYTHONPATH": str(ROOT),
            "OMP_NUM_THREADS": "1",
            "COLUMNS": "200",
            "FW_CONFIG_FILE": str(self.folder / "FW_config.yaml"),
        }

    def command(self, *words: str, rc: int | None = 0, environment: dict[str, str] | None = None) -> str:
        """Run one of the environment's commands in the folder; return all that it said."""
        done = self.cluster.run(
            "bash",
            "-c",
            'cd "$1"; shift; exec "$@"',
            "-",
            str(self.folder),
            str(BIN / words[0]),
            *words[1:],
            environment={**self.environment, **(environment or {})},
            timeout=600,
            check=False,
        )
        said = done.stdout + done.stderr
        assert rc is None or done.returncode == rc, f"{words}: {done.returncode}\n{said}"
        return said

    def init(self, folder: str = "cluster", *options: str, scheduler: str = "slurm") -> Path:
        """Call `campaign cluster init` with the test cluster's queues."""
        name = ("--name", folder, "--walltime", "00:05:00")
        self.command("campaign", "cluster", "init", folder, "--scheduler", scheduler, *QUEUES, *MEMORY, *name, *options)
        (self.folder / "runs").mkdir(exist_ok=True)
        return self.folder / folder

    def edit(self, folder: Path, old: str, new: str, *, category: str | None = None) -> None:
        """Change cluster.yaml, everywhere or in one queue, and make the launch files anew."""
        path = folder / "cluster.yaml"
        head, *rest = path.read_text().partition(f"  {category}:  #") if category else ("", "", path.read_text())
        assert old in rest[-1]
        rest[-1] = rest[-1].replace(old, new, 1 if category else -1)
        path.write_text(head + "".join(rest))
        self.command("campaign", "cluster", "init", str(folder), "--again")

    def add(self, category: str, script: str = "true", *, number: int = 1) -> list[int]:
        """Add fireworks of a category that run a shell line; return their ids."""
        ids: list[int] = []
        for _ in range(number):
            task = ScriptTask.from_str(script)
            ids += self.launchpad.add_wf(Firework([task], spec={"_category": category})).values()
        return ids

    @property
    def until_released(self) -> str:
        """A shell line that ends after `release`: what runs it is there however slow the machine is."""
        return f"until [ -e {self.folder}/released ]; do sleep 0.2; done"

    def release(self) -> None:
        """Let end whatever runs `until_released`."""
        (self.folder / "released").touch()

    def qlaunch(self, folder: Path, category: str) -> str:
        """Submit what is ready of a category as a user would.

        It is told their number: else `rapidfire` sleeps for minutes where other fireworks may still become ready.
        """
        ready = self.launchpad.fireworks.count_documents({"state": "READY", "spec._category": category})
        files = ("-w", str(folder / f"my_fworker_{category}.yaml"), "-q", str(folder / f"my_qadapter_{category}.yaml"))
        words = ("--launch_dir", "runs", "-r", "rapidfire", "-m", "20", "--nlaunches", str(ready))
        return self.command("qlaunch", "-l", "my_launchpad.yaml", *files, *words)

    def states(self, ids: list[int]) -> list[str]:
        """FireWorks' states of some fireworks, in their order."""
        found = {fw["fw_id"]: fw["state"] for fw in self.launchpad.fireworks.find({"fw_id": {"$in": ids}})}
        return [found[fw_id] for fw_id in ids]

    def jobs(self) -> int:
        """How many jobs the cluster has, waiting and running."""
        return len(self.cluster.run("squeue", "-h", "-o", "%A").stdout.split())

    def wait(self, condition, *, seconds: float = 600.0):
        """Wait until a function returns something true; return it."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if found := condition():
                return found
            time.sleep(0.3)
        raise AssertionError(f"not within {seconds} s\n{self.said()}")

    def said(self) -> str:
        """What the jobs have written, for the message of a failed test."""
        outputs = [*self.folder.rglob("*.out"), *self.folder.rglob("*.error"), *self.folder.rglob("*.[oe][0-9]*")]
        queue = self.cluster.run("squeue", check=False).stdout
        return queue + "\n".join(f"{path}\n{path.read_text()[-1500:]}" for path in sorted(outputs)[-8:])

    def drop(self) -> None:
        """Drop the database."""
        with self.settings.client() as client:
            client.drop_database(self.settings.name)


def write_launchpad(folder: Path, settings: DatabaseSettings) -> Path:
    """Write my_launchpad.yaml for a fresh database of a server."""
    name = f"test_{uuid.uuid4().hex[:12]}"
    path = folder / "my_launchpad.yaml"
    uri = f"mongodb://{settings.address}/{name}?replicaSet={settings.replica_set}"
    login = json.dumps(settings.mongoclient_kwargs)
    path.write_text(f"uri_mode: true\nhost: {uri}\nname: {name}\nstrm_lvl: WARNING\nmongoclient_kwargs: {login}\n")
    path.chmod(0o600)  # else each command warns that others can read the password
    return path


def without_commands(folder: Path, *names: str) -> str:
    """Return a PATH whose first folder has these commands, each failing as a client of a dead scheduler does."""
    folder.mkdir(exist_ok=True)
    for name in names:
        script = folder / name
        script.write_text(f"#!/bin/sh\necho '{name}: error: Unable to contact slurm controller' >&2\nexit 1\n")
        script.chmod(0o755)
    return os.pathsep.join([str(folder), os.environ["PATH"]])
