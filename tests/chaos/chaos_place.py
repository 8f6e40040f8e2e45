"""The folder of one campaign under faults: its files, its database, and every process that was started for it."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import yaml
from chaos_server import ChaosServer
from database_proxy import DatabaseProxy
from slurm_cluster import SlurmCluster

from campaign.spec.campaign_spec import FIREWORK_HEADER
from campaign.store.collections import CampaignStore

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(sys.executable).parent
NAME = "chaos"
_LIMIT_S = 180.0
_ERROR = re.compile(r"[\w.]+(Error|Exception|Exit|Interrupt)\b")
#: `rlaunch` prints the traceback of each task that fails, and continues; with these it has itself ended, or a thread.
#: PyMongo's threads are started again; where there is no memory for one Python says so.
_RLAUNCH_ENDED = re.compile(r"rlaunch_run\.py|Exception in thread (?!pymongo_)")
#: It also refuses a launchpad file that is not there with a traceback, before it loads anything of this project.
_RLAUNCH_REFUSED = "in _validate_config_file_paths"
#: Patterns of command lines, by what people call the process.
KINDS_OF_PROCESS = {
    "runner": ("bin/campaign run", "cluster run"),
    "worker": ("launchers.workers.worker", "bin/rlaunch"),
    "engine": ("workflows.gpaw_vasp",),
    "raylet": ("raylet/raylet",),
}


@dataclass
class Started:
    """A command that runs beside the harness.

    Attributes
    ----------
    label
        Name of its output's file.
    process
        Its process, in a session of its own.
    output
        What it has said on its screen.
    """

    label: str
    process: subprocess.Popen[bytes]
    output: Path

    @property
    def is_alive(self) -> bool:
        """Whether it runs."""
        return self.process.poll() is None


@dataclass(frozen=True)
class Removed:
    """A document that a fault has deleted.

    Attributes
    ----------
    collection, document
        What it was.
    name
        How `campaign verify` names it.
    """

    collection: str
    document: dict[str, Any]
    name: str


class Place:
    """Where one campaign runs.

    Attributes
    ----------
    folder, runs
        Working folder, and the launch folders' parent, which is a small tmpfs if `small_disk`.
    proxy
        Between the campaign and its database; its faults are those of the network.
    cluster
        SLURM whose jobs run it; None where this machine does.
    commands
        What was started and still runs, or has not been looked at since it ended.
    removed
        What faults have deleted: the backup of it.
    """

    def __init__(
        self,
        server: ChaosServer,
        folder: Path,
        campaign: Mapping[str, Any],
        *,
        recorded: Path,
        engine_s: float,
        small_disk: bool = False,
        cluster: SlurmCluster | None = None,
    ) -> None:
        self.server, self.folder, self.cluster = server, folder, cluster
        self.runs = folder / "runs"
        self.runs.mkdir(parents=True)
        self.small_disk = small_disk and _mount(self.runs)
        self.database_name = f"chaos_{uuid.uuid4().hex[:12]}"
        self.launchpad = folder / "my_launchpad.yaml"
        self.proxy = DatabaseProxy(server.port)
        uri = f"mongodb://127.0.0.1:{self.proxy.port}/{self.database_name}?directConnection=true"
        self.launchpad_text = f"uri_mode: true\nhost: {uri}\nname: {self.database_name}\nstrm_lvl: WARNING\n"
        self.launchpad.write_text(self.launchpad_text)
        self.file = folder / "campaign.yaml"
        content = {"name": NAME, "spec": {**FIREWORK_HEADER, "campaign": dict(campaign)}}
        self.file.write_text(yaml.safe_dump(content, sort_keys=False))
        (folder / "FW_config.yaml").write_text("QUEUE_UPDATE_INTERVAL: 0\n")
        self.commands: list[Started] = []
        self.removed: list[Removed] = []
        self._tag, self._number = uuid.uuid4().hex, 0
        self._client = server.client()
        self.environment = {
            **(os.environ if cluster is None else cluster.environment),
            "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent / "playback"), str(ROOT)]),
            "PATH": os.pathsep.join([str(BIN), os.environ.get("PATH", "")]),
            "FW_CONFIG_FILE": str(folder / "FW_config.yaml"),
            "CHAOS_TAG": self._tag,
            "CHAOS_RECORDED": str(recorded),
            "CHAOS_ENGINE_S": str(engine_s),
            "OMP_NUM_THREADS": "1",
            "OPENBLAS_NUM_THREADS": "1",
            "COLUMNS": "200",
        }

    @property
    def store(self) -> CampaignStore:
        """The campaign's collections, past the proxy."""
        return CampaignStore(self._client[self.database_name])

    def start(self, *words: str, cwd: Path | None = None) -> Started:
        """Start a command and go on; what it says is kept."""
        self._number += 1
        output = self.folder / f"{self._number:03d}-{words[0]}-{words[1].strip('-')}.out"
        with output.open("wb") as file:
            process = subprocess.Popen(
                [str(BIN / words[0]), *words[1:]],
                cwd=cwd or self.folder,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        started = Started(output.stem, process, output)
        self.commands.append(started)
        return started

    def say(self, *words: str, limit_s: float = _LIMIT_S) -> tuple[int, str]:
        """Run a command to its end; return its exit code and what it said (code -9 if it did not end)."""
        started = self.start(*words)
        try:
            code = started.process.wait(limit_s)
        except subprocess.TimeoutExpired:
            started.process.kill()
            code = started.process.wait() or -9
        self.commands.remove(started)
        return code, started.output.read_text(errors="replace")

    def json(self, *words: str) -> Any:
        """Run a command that prints JSON; None if it printed none."""
        text = self.say(*words)[1]
        try:
            # warnings may stand before it
            return json.loads(text[min((text + "[").index("["), (text + "{").index("{")) :])
        except ValueError:
            return None

    def processes(self, kind: str | None = None) -> list[psutil.Process]:
        """Processes that were started for this campaign, however indirectly; of one kind if one is given."""
        return [process for process in self._tagged() if kind is None or _is_of(process, KINDS_OF_PROCESS[kind])]

    def _tagged(self) -> Iterator[psutil.Process]:
        for process in psutil.process_iter():
            try:
                if process.pid != os.getpid() and process.environ().get("CHAOS_TAG") == self._tag:
                    yield process
            except psutil.Error:
                continue

    def reap(self) -> list[Started]:
        """Forget the commands that have ended, and return them."""
        ended = [command for command in self.commands if not command.is_alive]
        self.commands = [command for command in self.commands if command.is_alive]
        return ended

    def heal(self) -> None:
        """Take away every fault of files and network that lasts."""
        self.proxy.come_back()
        self.server.start()
        self.launchpad.write_text(self.launchpad_text)
        (self.runs / "filler").unlink(missing_ok=True)

    def restore(self, findings: str) -> list[str]:
        """Put back, as `mongorestore` does, what `campaign verify` names in its findings; say what that was."""
        named = [each for each in self.removed if each.name in findings]
        for each in named:
            collection = self.store.database[each.collection]
            if collection.find_one({"_id": each.document["_id"]}, ["_id"]) is None:
                collection.insert_one(each.document)
            self.removed.remove(each)
        return [f"mongorestore of {each.collection}: {each.name}" for each in named]

    def progress(self) -> str:
        """Text that changes whenever the campaign does."""
        store = self.store
        states = [
            [(found["_id"], found["state"], (found.get("rs_dos") or {}).get("state")) for found in sorted_by_id(each)]
            for each in (collection.find({}, ["state", "rs_dos.state"]) for collection in store.structures)
        ]
        fireworks = sorted(
            (found["fw_id"], found["state"]) for found in store.database["fireworks"].find({}, ["fw_id", "state"])
        )
        return json.dumps([states, fireworks, store.attempts.count_documents({})])

    @property
    def is_finished(self) -> bool:
        """Whether the campaign is."""
        found = self.store.campaigns.find_one({"_id": NAME}, ["state"])
        return found is not None and found["state"] == "finished"

    def tracebacks(self, *, of_fireworks: bool = False) -> list[str]:
        """Files of commands' screens on which a Python traceback stands, each with an error that one ends with.

        Parameters
        ----------
        of_fireworks
            Those that `rlaunch` prints of each task that fails, instead of the others.
        """
        found = []
        for path in sorted(self.folder.glob("*.out")):
            text = path.read_text(errors="replace")
            if "Traceback (most recent call last)" in text and is_of_fireworks(path.stem, text) == of_fireworks:
                errors = [line for line in text.splitlines() if _ERROR.match(line)]
                found.append(f"{path.stem}: {errors[-1][:200] if errors else ''}")
        return found

    def end(self) -> None:
        """End every process of the campaign, and keep its files but for its tmpfs."""
        for process in self.processes():
            try:
                process.send_signal(signal.SIGCONT)
                process.kill()
            except psutil.Error:
                continue
        for command in self.commands:
            command.process.wait()
        if self.small_disk:
            subprocess.run(["umount", "-l", str(self.runs)], check=False)
        self.proxy.close()
        self._client.drop_database(self.database_name)
        self._client.close()


def is_of_fireworks(command: str, screen: str) -> bool:
    """Whether the tracebacks on a screen are `rlaunch`'s own: of failed tasks, or of a missing launchpad file."""
    return "-rlaunch" in command and (_RLAUNCH_REFUSED in screen or not _RLAUNCH_ENDED.search(screen))


def sorted_by_id(found: Any) -> list[dict[str, Any]]:
    """Documents in the order of their ids."""
    return sorted(found, key=lambda document: str(document["_id"]))


def _is_of(process: psutil.Process, patterns: tuple[str, ...]) -> bool:
    try:
        line = " ".join(process.cmdline())
    except psutil.Error:
        return False
    return any(pattern in line for pattern in patterns)


def _mount(folder: Path) -> bool:
    """Put a small tmpfs on a folder; False where this is not allowed."""
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=60m", "tmpfs", str(folder)], check=False)
    time.sleep(0.1)
    return done.returncode == 0
