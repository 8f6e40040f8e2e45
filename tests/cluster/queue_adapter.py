"""A campaign on the test SLURM, run the way its users do: qlaunch in reservation mode, and reconcile."""

import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from slurm_cluster import SlurmCluster

from campaign.store.collections import CampaignStore
from launchers.database.settings import DatabaseSettings

BIN = Path(sys.executable).parent
ROOT = Path(__file__).resolve().parents[2]

#: A login node sees no process of a compute node; here all nodes are one machine.
OTHER_HOST = "login1"
#: What goes to the queue; what records is run by a worker of this machine.
CALCULATIONS = {"spec.stage": {"$exists": True}, "spec._allow_fizzled_parents": None}
LIGHT_WORK = {"$or": [{"spec._allow_fizzled_parents": True}, {"spec.step": {"$exists": True}}]}

ADAPTER = """\
_fw_name: CommonAdapter
_fw_q_type: SLURM
rocket_launch: {bin}/rlaunch -l {launchpad} singleshot
nodes: 1
ntasks: 1
walltime: "{walltime}"
queue: {partition}
job_name: null
logdir: {folder}
pre_rocket: |
  export PYTHONPATH={root} OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1
post_rocket: null
"""


class ClusterCampaign:
    """A campaign whose fireworks go to SLURM as reservations."""

    def __init__(self, slurm: SlurmCluster, launchpad_file: Path, name: str) -> None:
        self.slurm = slurm
        self.folder = launchpad_file.parent
        self.launchpad_file = launchpad_file
        self.name = name
        self.settings = DatabaseSettings.from_file(launchpad_file)
        self.launchpad = self.settings.launchpad(strm_lvl="WARNING")
        self.store = CampaignStore(self.launchpad.db)

    def adapter(self, *, walltime: str = "00:10:00", partition: str = "cpu") -> Path:
        """Write a queue-adapter file; return its path."""
        path = self.folder / f"adapter-{partition}.yaml"
        path.write_text(
            ADAPTER.format(
                bin=BIN,
                launchpad=self.launchpad_file,
                walltime=walltime,
                partition=partition,
                folder=self.folder,
                root=ROOT,
            )
        )
        return path

    def submit(self, *, fw_id: int | None = None, **adapter: Any) -> int:
        """Submit what is ready, one job a firework, by what `qlaunch -r` calls; return how many jobs it were.

        `qlaunch rapidfire` waits 5 s after each submission.
        """
        from fireworks import FWorker
        from fireworks.queue.queue_launcher import launch_rocket_to_queue
        from fireworks.utilities.fw_serializers import SAVED_FW_MODULES, load_object_from_file

        # FireWorks would import all of its packages, tests too, to find the class by its name
        SAVED_FW_MODULES["CommonAdapter"] = "fireworks.user_objects.queue_adapters.common_adapter"
        runs = self.folder / "runs"
        runs.mkdir(exist_ok=True)
        queue, fworker = load_object_from_file(str(self.adapter(**adapter))), FWorker(query=CALCULATIONS)
        submitted = 0
        while launch_rocket_to_queue(
            self.launchpad, fworker, queue, str(runs), reserve=True, create_launcher_dir=True, fw_id=fw_id
        ):
            submitted += 1
            if fw_id is not None:
                break
        return submitted

    def campaign(self, *words: str, host: str | None = None, path: str | None = None, check: bool = True) -> str:
        """Run a command of ours; on another `host`, so that no process of the jobs can be seen, if one is given."""
        command = [str(BIN / "campaign"), *words, "--launchpad", str(self.launchpad_file)]
        if host is not None:
            command = ["unshare", "--uts", "sh", "-c", 'hostname "$0" && exec "$@"', host, *command]
        environment = {"PYTHONPATH": str(ROOT), "COLUMNS": "200"} | ({} if path is None else {"PATH": path})
        done = self.slurm.run(*command, environment=environment, check=check)
        return done.stdout + done.stderr

    def job_of(self, fw_id: int) -> str:
        """Job id of a firework's reservation."""
        return str(self.launchpad.get_reservation_id_from_fw_id(fw_id))

    def wait(self, what: Callable[[], Any], *, seconds: float = 600.0, hint: str = "") -> Any:
        """Wait until something holds; return it."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if found := what():
                return found
            time.sleep(0.3)
        states = list(self.launchpad.fireworks.find({}, ["fw_id", "name", "state", "launches"]))
        queue = self.slurm.run("squeue", "-a", "-o", "%i %T %j %r", check=False).stdout
        raise AssertionError(f"waited in vain for {hint}\n{queue}\n" + "\n".join(map(str, states)))

    def running(self, number: int = 1, **query: Any) -> list[dict[str, Any]]:
        """Calculations that have begun and said so, once there are so many."""
        calculation = {"state": "RUNNING", "spec.worker": {"$exists": True}, "spec._allow_fizzled_parents": None}

        def found() -> list[dict[str, Any]]:
            at_work = [
                firework
                for firework in self.launchpad.fireworks.find({**calculation, **query})
                if firework["spec"]["worker"]["launch"] == firework["launches"][-1]
            ]
            return at_work if len(at_work) >= number else []

        result: list[dict[str, Any]] = self.wait(found, hint=f"{number} running calculations")
        return result

    def state_of(self, fw_id: int) -> str:
        """FireWorks' state."""
        return str(self.launchpad.fireworks.find_one({"fw_id": fw_id})["state"])

    def finish(self, *, seconds: float = 1200.0) -> None:
        """Submit and reconcile until the campaign has come to its report, as cron would."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if (self.store.campaigns.find_one({"_id": self.name}) or {}).get("state") == "finished":
                return
            self.submit()
            self.campaign("reconcile", self.name, host=OTHER_HOST)
            time.sleep(0.5)
        self.wait(lambda: False, seconds=0.0, hint="the end of the campaign")

    def completed(self) -> dict[tuple[str, str], int]:
        """How many completed attempts each stage of each document has."""
        groups = self.store.attempts.aggregate(
            [
                {"$match": {"outcome": "completed", "document": {"$ne": None}}},
                {"$group": {"_id": {"document": "$document", "stage": "$stage"}, "n": {"$sum": 1}}},
            ]
        )
        return {(group["_id"]["document"], group["_id"]["stage"]): group["n"] for group in groups}

    def assert_complete(self, expected: Mapping[str, tuple[str, ...]]) -> None:
        """Every stage of every document was completed exactly once, and each is in a final state.

        Parameters
        ----------
        expected
            Stages by role.
        """
        wanted = {
            (document["_id"], stage): 1
            for collection in (self.store.references, self.store.candidates)
            for document in collection.find()
            for stage in expected[document["role"]]
        }
        assert self.completed() == wanted
        outputs = [found["uuid"] for found in self.store.database["outputs"].find({}, ["uuid"])]
        assert len(outputs) == len(set(outputs)), "a job was calculated twice"
        assert not list(self.store.candidates.find({"final_failure": {"$ne": None}}, ["final_failure"]))
        assert self.store.attempts.count_documents({"outcome": "running"}) == 0

    def entries(self, fw_id: int) -> list[dict[str, Any]]:
        """Ledger entries of a firework."""
        return list(self.store.attempts.find({"fw_id": fw_id}).sort("_id"))


def kill(pid: int) -> None:
    """Kill -9 one process."""
    subprocess.run(["kill", "-9", str(pid)], check=False)
