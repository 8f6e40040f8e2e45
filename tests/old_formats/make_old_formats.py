"""Makes the fixtures of this folder: real campaigns, one of them killed half-way, a model and a data set, as they are.

    python tests/old_formats/make_old_formats.py SCRATCH [bundle] [finished] [half_way]

Run it with the code whose formats are to be kept, never with later code. SCRATCH is an empty folder on this machine.
"""

from __future__ import annotations

import contextlib
import gzip
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
from bson import json_util
from esnet.dataset_synthetic import synthetic_samples
from esnet.features import Representation
from restore import FOLDER, HOST, OLD_FORMATS, restore

from campaign.store import CampaignStore
from esnet.bundle import Bundle
from esnet.dataset import Dataset, DatasetWriter
from launchers.database import DatabaseSettings

BIN, CODE, PORT, LIMIT_S, RUNS_S = Path(sys.executable).parent, OLD_FORMATS.parents[1], 27556, 1200, 4.0
PLACES = {BIN.parent.resolve(): "/venv", BIN.parent: "/venv", CODE: "/code", Path.home(): "/home"}


class Workplace:
    """A folder with my_launchpad.yaml and a campaign's file; its embedded MongoDB ends with it."""

    def __init__(self, folder: Path, name: str) -> None:
        folder.mkdir(parents=True)
        self.folder = folder
        uri = f"mongodb://127.0.0.1:{PORT}/{name}?replicaSet=rs0"
        (folder / "my_launchpad.yaml").write_text(f"uri_mode: true\nhost: {uri}\nname: {name}\nstrm_lvl: WARNING\n")
        for path in OLD_FORMATS.glob("*.yaml"):
            shutil.copy(path, folder)
        shutil.unpack_archive(OLD_FORMATS / "bundle.tar.xz", folder, filter="data")

    def __enter__(self) -> Workplace:
        self.say("db", "start")
        self.store = CampaignStore(DatabaseSettings.from_file(self.folder / "my_launchpad.yaml").database())
        return self

    def __exit__(self, *_: object) -> None:
        self.say("db", "stop")

    def start(self, file: str) -> subprocess.Popen[bytes]:
        """Begin `campaign run`."""
        with (self.folder / "run.log").open("ab") as log:
            command = [str(BIN / "campaign"), "run", file, "--workers", "1"]
            return subprocess.Popen(command, cwd=self.folder, stdout=log, stderr=log, stdin=subprocess.DEVNULL)

    def say(self, *words: str) -> str:
        """Run another command of `campaign` and return what it prints."""
        command = [BIN / "campaign", *words]
        return subprocess.run(command, cwd=self.folder, stdout=subprocess.PIPE, text=True, check=True).stdout

    def wait_for_relaxation(self, document: Any) -> dict[str, Any]:
        """Return the attempt of a relaxation that runs for some seconds already."""
        query = {"outcome": "running", "stage": "relax", "document": document}
        while (found := self.store.attempts.find_one(query)) is None:
            time.sleep(0.2)
        time.sleep(RUNS_S)
        return found

    def keep(self, what: str, *words: str) -> None:
        """Store what a command prints."""
        (OLD_FORMATS / what).write_text(self.without_places(self.say(*words)))

    def keep_results(self, what: str, campaign: str) -> None:
        """Store the ranked table, and what is told of each candidate in it."""
        self.keep(f"{what}_results.json", "results", campaign, "--format", "json")
        ids = [row["id"] for row in json.loads((OLD_FORMATS / f"{what}_results.json").read_text())]
        told = ",\n".join(f"{json.dumps(name)}: {self.say('explain', campaign, name, '--json')}" for name in ids)
        (OLD_FORMATS / f"{what}_explanations.json").write_text(self.without_places(f"{{{told}}}\n"))

    def without_places(self, text: str) -> str:
        """Put placeholders where this machine's folders and host stand."""
        for place, ending in ({self.folder: ""} | PLACES).items():
            text = text.replace(str(place), f"{FOLDER}{ending}")
        return re.sub(rf"\b{re.escape(socket.gethostname())}\b", HOST, text)

    def dump(self, path: Path) -> None:
        """Write all documents of all collections."""
        with gzip.GzipFile(path, "wb", compresslevel=9, mtime=0) as file:
            for collection in sorted(self.store.database.list_collection_names()):
                for document in self.store.database[collection].find().sort("_id"):
                    line = {"collection": collection, "document": with_texts(document, self.without_places)}
                    text = json_util.dumps(line, json_options=json_util.CANONICAL_JSON_OPTIONS)
                    file.write(text.encode() + b"\n")


def with_texts(value: Any, change: Callable[[str], str]) -> Any:
    """Copy a document with all its texts changed."""
    if isinstance(value, dict):
        return {key: "127.0.0.1" if key == "ip" else with_texts(part, change) for key, part in value.items()}
    if isinstance(value, list):
        return [with_texts(part, change) for part in value]
    return change(value) if isinstance(value, str) else value


def kill(pid: int) -> None:
    """End a process and all that it has started, without a word."""
    with contextlib.suppress(psutil.NoSuchProcess):
        process = psutil.Process(pid)
        for member in (process, *process.children(recursive=True)):
            member.kill()


def end(runner: subprocess.Popen[bytes]) -> None:
    """Wait until a campaign has come to its end."""
    if runner.wait(LIMIT_S) != 0:
        raise RuntimeError("`campaign run` failed; see its run.log")


def make_bundle(scratch: Path) -> None:
    """Train two small networks on synthetic data."""
    scratch.mkdir(parents=True)
    with DatasetWriter(scratch / "synthetic", representation=Representation(), source={"kind": "test"}) as out:
        for sample in synthetic_samples(40):
            # what is Ti there is Li here: the model knows the campaigns' elements
            composition = {"Li" if name == "Ti" else name: amount for name, amount in sample.composition.items()}
            out.add(replace(sample, composition=composition, chemsys="-".join(sorted(composition))))
    options = "--widths 2,2,4,4 --epochs 4 --batch-size 16 --members 2 --validation-fraction 0.3 --gpus 0"
    subprocess.run([BIN / "esnet", "train", "synthetic", "bundle", *options.split()], cwd=scratch, check=True)
    shutil.make_archive(str(OLD_FORMATS / "bundle"), "xztar", root_dir=scratch, base_dir="bundle")


def make_finished(scratch: Path) -> None:
    """Run a campaign to its end, with workers that are killed, and on with a larger budget."""
    with Workplace(scratch, "finished") as place:
        runner = place.start("finished.yaml")
        kill(place.wait_for_relaxation("finished/reference/Al")["pid"])
        end(runner)
        place.say("budget", "finished", "--relaxations", "3")
        runner = place.start("finished.yaml")
        unlucky = place.wait_for_relaxation({"$ne": None})["document"]
        while place.store.candidates.find_one({"_id": unlucky})["state"] != "relax_failed":
            for found in place.store.attempts.find({"outcome": "running", "document": unlucky}):
                kill(found["pid"])
            time.sleep(1)
        end(runner)
        end(place.start("probable.yaml"))
        place.dump(OLD_FORMATS / "finished.jsonl.gz")
        for name in ("finished", "probable"):
            place.keep_results(name, name)
        for command in ("metrics", "budget", "failures"):
            place.keep(f"finished_{command}.json", command, "finished", "--json")
        place.keep("finished_status.txt", "status", "finished")
        place.say("dataset", "finished", str(OLD_FORMATS / "dataset"))
    dataset, bundle = Dataset.open(OLD_FORMATS / "dataset"), Bundle.load(place.folder / "bundle")
    samples = dataset.samples(dataset.places())
    assessed = bundle.assess(samples.dos, samples.compositions)
    stored = {"dataset": dataset.checksum, "bundle": bundle.checksum, "ids": samples.ids, "kinds": dataset.kinds}
    numbers = {"energies": samples.energies, "dos_sums": samples.dos.sum(axis=(1, 2, 3), dtype=float)}
    numbers |= {"predicted": bundle.predict(samples.dos, samples.compositions)}
    numbers |= {"uncertainty": assessed.uncertainty, "spread": assessed.spread}
    stored |= {name: found.tolist() for name, found in numbers.items()}
    (OLD_FORMATS / "predictions.json").write_text(json.dumps(stored, indent=1) + "\n")


def make_half_way(scratch: Path) -> None:
    """Kill a campaign after its first Screen while a relaxation runs; go on elsewhere from the copy of its database."""
    with Workplace(scratch / "killed", "half_way") as place:
        runner = place.start("half_way.yaml")
        place.wait_for_relaxation({"$not": re.compile("/reference/")})
        kill(runner.pid)
        runner.wait()
        place.dump(OLD_FORMATS / "half_way.jsonl.gz")
    with Workplace(scratch / "continued", "half_way") as place:
        path = OLD_FORMATS / "half_way.jsonl.gz"
        restore(place.store.database, path, host=socket.gethostname(), folder=place.folder)
        end(place.start("half_way.yaml"))
        place.keep_results("half_way", "half-way")


def main() -> None:
    """Make what is asked for; without a name everything."""
    scratch, *parts = sys.argv[1:]
    os.environ |= {"OMP_NUM_THREADS": "1", "COLUMNS": "120"}
    makers = {"bundle": make_bundle, "finished": make_finished, "half_way": make_half_way}
    for part in parts or makers:
        makers[part](Path(scratch).resolve() / part)


if __name__ == "__main__":
    main()
