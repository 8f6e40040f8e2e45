"""The faults: each happens once to a campaign that runs, and says what it did, or None where it did not apply."""

from __future__ import annotations

import os
import resource
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import psutil
from chaos_place import NAME, Place, Removed

Fault = Callable[[Place, Random], str | None]
#: Fault by kind and name, e.g. ``FAULTS["database"]["away-15s"]``.
FAULTS: dict[str, dict[str, Fault]] = {}
_STOPPED_S = 20.0
_RUNNING_OR_TO_COME = ["READY", "RUNNING", "WAITING", "RESERVED"]


def fault(kind: str, name: str) -> Callable[[Fault], Fault]:
    """Enter a function under its kind and name."""

    def enter(function: Fault) -> Fault:
        FAULTS.setdefault(kind, {})[name] = function
        return function

    return enter


def chosen(kinds: list[str]) -> dict[str, Fault]:
    """Faults of these kinds, or of these names, by ``kind/name``."""
    every = {f"{kind}/{name}": function for kind, named in FAULTS.items() for name, function in named.items()}
    found = {name: function for name, function in every.items() if {name, name.split("/")[0]} & set(kinds)}
    if unknown := [kind for kind in kinds if kind not in every and kind not in FAULTS]:
        raise SystemExit(f"no fault or kind of fault {', '.join(unknown)}; right: {', '.join([*FAULTS, *every])}")
    return found


# ---- processes: one of those that are there gets a signal


def _pick(place: Place, source: Random, kind: str) -> psutil.Process | None:
    found = place.processes(kind)
    return source.choice(found) if found else None


def _signal(kind: str, number: signal.Signals) -> Fault:
    def send(place: Place, source: Random) -> str | None:
        process = _pick(place, source, kind)
        if process is None:
            return None
        try:
            process.send_signal(number)
            if number == signal.SIGSTOP:
                time.sleep(_STOPPED_S)
                process.send_signal(signal.SIGCONT)
        except psutil.NoSuchProcess:
            return None
        return f"{kind} {process.pid}"

    return send


for _kind in ("runner", "worker", "engine", "raylet"):
    for _number in (signal.SIGKILL, signal.SIGTERM, signal.SIGSTOP):
        fault("processes", f"{_number.name[3:].lower()}-{_kind}")(_signal(_kind, _number))


@fault("processes", "int-runner")
def _interrupt(place: Place, source: Random) -> str | None:
    return _signal("runner", signal.SIGINT)(place, source)


@fault("processes", "kill-all")
def _kill_all(place: Place, source: Random) -> str | None:
    found = place.processes()
    for process in found:
        try:
            process.kill()
        except psutil.NoSuchProcess:
            continue
    return f"{len(found)} processes" if found else None


@fault("processes", "stop-worker-and-reconcile")
def _reconcile_while_stopped(place: Place, source: Random) -> str | None:
    process = _pick(place, source, "worker")
    if process is None:
        return None
    try:
        process.suspend()
        place.say("campaign", "reconcile", NAME)
        process.resume()
    except psutil.NoSuchProcess:
        return None
    return f"worker {process.pid}"


@fault("memory", "limit-worker")
def _limit_memory(place: Place, source: Random) -> str | None:
    """No more memory than it has, and 1 MiB."""
    process = _pick(place, source, "worker")
    if process is None:
        return None
    try:
        size = process.memory_info().vms + 2**20
        process.rlimit(resource.RLIMIT_AS, (size, size))
    except psutil.Error:
        return None
    return f"worker {process.pid}, {size >> 20} MiB"


# ---- database


def _away(seconds: float) -> Fault:
    def refuse(place: Place, source: Random) -> str:
        place.proxy.go_away()
        time.sleep(seconds)
        place.proxy.come_back()
        return f"{seconds:.0f} s"

    return refuse


for _seconds in (5, 15, 45):
    fault("database", f"away-{_seconds}s")(_away(_seconds))
for _seconds in (105, 300):
    fault("long-outages", f"away-{_seconds}s")(_away(_seconds))


@fault("database", "silent-12s")
def _stall(place: Place, source: Random) -> str:
    place.proxy.stall()
    time.sleep(12.0)
    place.proxy.come_back()
    return "12 s"


@fault("database", "slow-10s")
def _slow(place: Place, source: Random) -> str:
    place.proxy.delay(0.15)
    time.sleep(10.0)
    place.proxy.come_back()
    return "0.15 s more for each message, for 10 s"


@fault("database", "answers-cut")
def _cut(place: Place, source: Random) -> str:
    proxy, number = place.proxy, source.choice([1, 2, 3, 6])
    before = proxy.cuts
    proxy.cut_answers(number)
    time.sleep(4.0)
    proxy.come_back()
    return f"{proxy.cuts - before} answers"


@fault("database", "connections-closed")
def _close(place: Place, source: Random) -> str:
    place.proxy.cut_connections()
    return "all"


@fault("database", "killed")
def _kill_server(place: Place, source: Random) -> str:
    seconds = source.uniform(0.5, 10.0)
    place.server.kill(seconds)
    return f"for {seconds:.1f} s"


@fault("database", "frozen-20s")
def _freeze_server(place: Place, source: Random) -> str:
    place.server.freeze(_STOPPED_S)
    return "20 s"


# ---- files


@fault("files", "launch-folder-deleted")
def _delete_folder(place: Place, source: Random) -> str | None:
    folders = sorted(path for path in place.runs.rglob("launcher_*") if path.is_dir())
    if not folders:
        return None
    folder = source.choice(folders[-3:])
    shutil.rmtree(folder, ignore_errors=True)
    return folder.name


@fault("files", "launch-folder-renamed")
def _rename_folder(place: Place, source: Random) -> str | None:
    folders = sorted(path for path in place.runs.rglob("launcher_*") if path.is_dir())
    if not folders:
        return None
    folder = source.choice(folders[-3:])
    try:
        folder.rename(folder.with_name(f"moved-{folder.name}"))
    except OSError:
        return None
    return folder.name


@fault("files", "disk-full")
def _fill(place: Place, source: Random) -> str | None:
    if not place.small_disk:
        return None
    filler, seconds = place.runs / "filler", source.uniform(6.0, 15.0)
    try:
        with filler.open("wb", buffering=0) as file:
            while True:
                file.write(bytes(65536))
    except OSError:
        pass
    time.sleep(seconds)
    filler.unlink(missing_ok=True)
    return f"for {seconds:.1f} s"


@fault("files", "launchpad-file-gone")
def _launchpad_gone(place: Place, source: Random) -> str:
    place.launchpad.unlink(missing_ok=True)
    time.sleep(6.0)
    place.launchpad.write_text(place.launchpad_text)
    return "6 s"


@fault("files", "launchpad-file-damaged")
def _launchpad_damaged(place: Place, source: Random) -> str:
    place.launchpad.write_text("host: [unclosed\n")
    time.sleep(6.0)
    place.launchpad.write_text(place.launchpad_text)
    return "6 s"


# ---- lpad


def _lpad(command: str, states: list[str]) -> Fault:
    def call(place: Place, source: Random) -> str | None:
        query = {"spec.campaign_name": NAME, "state": {"$in": states}}
        found = sorted(place.store.database["fireworks"].distinct("fw_id", query))
        if not found:
            return None
        fw_id = source.choice(found)
        # lpad asks before it deletes many; of one it does not
        code, said = place.say("lpad", "-l", str(place.launchpad), command, "-i", str(fw_id))
        return f"{command} -i {fw_id}: {said.strip().splitlines()[-1][:80] if said.strip() else code}"

    return call


fault("lpad", "rerun")(_lpad("rerun_fws", ["COMPLETED", "RUNNING", "READY", "FIZZLED"]))
fault("lpad", "defuse")(_lpad("defuse_fws", _RUNNING_OR_TO_COME))
fault("lpad", "pause")(_lpad("pause_fws", _RUNNING_OR_TO_COME))
fault("lpad", "archive")(_lpad("archive_wflows", _RUNNING_OR_TO_COME))
fault("lpad", "delete")(_lpad("delete_wflows", _RUNNING_OR_TO_COME))


# ---- stored data


@fault("data", "features-deleted")
def _delete_features(place: Place, source: Random) -> str | None:
    ids = sorted(place.store.features.distinct("_id"))
    if not ids:
        return None
    name = source.choice(ids)
    place.store.features.delete_one({"_id": name})
    return str(name)


@fault("data", "features-damaged")
def _damage_features(place: Place, source: Random) -> str | None:
    ids = sorted(place.store.features.distinct("_id"))
    if not ids:
        return None
    name = source.choice(ids)
    found: dict[str, Any] | None = place.store.features.find_one({"_id": name}, ["data"])
    if found is None:
        return None
    data = bytearray(found["data"])
    where = source.randrange(len(data))
    data[where] ^= 1 << source.randrange(8)
    place.store.features.update_one({"_id": name}, {"$set": {"data": bytes(data)}})
    return f"{name}, byte {where}"


def _delete_one(collection: str, of_what: Callable[[Place, dict[str, Any]], str]) -> Fault:
    """Delete a document; it comes back, as from a backup, when `campaign verify` asks for it by this name."""

    def delete(place: Place, source: Random) -> str | None:
        found = place.store.database[collection]
        ids = sorted(found.distinct("_id"))
        document = found.find_one({"_id": source.choice(ids)}) if ids else None
        if document is None:
            return None
        place.removed.append(Removed(collection, document, of_what(place, document)))
        found.delete_one({"_id": document["_id"]})
        return str(place.removed[-1].name)

    return delete


def _job_of_chunk(place: Place, chunk: dict[str, Any]) -> str:
    file = place.store.database["data.files"].find_one({"_id": chunk["files_id"]}, ["metadata"]) or {}
    return str((file.get("metadata") or {}).get("job_uuid"))


fault("data", "chunk-deleted")(_delete_one("data.chunks", _job_of_chunk))
fault("data", "output-deleted")(_delete_one("outputs", lambda place, output: str(output["uuid"])))
fault("data", "reference-set-deleted")(_delete_one("reference_sets", lambda place, found: str(found["_id"])[:12]))


# ---- commands, at the same time as what runs


def _at_the_same_time(*commands: tuple[str, ...]) -> Fault:
    def run(place: Place, source: Random) -> str:
        words = [[str(place.file) if word == "FILE" else word for word in command] for command in commands]
        started = [place.start(*each) for each in words]
        for command in started:
            command.process.wait(180)
        place.reap()
        return ", ".join(" ".join(command[:2]) for command in commands)

    return run


fault("commands", "two-submits")(_at_the_same_time(("campaign", "submit", "FILE"), ("campaign", "submit", "FILE")))
fault("commands", "two-reconciles")(_at_the_same_time(("campaign", "reconcile", NAME), ("campaign", "reconcile", NAME)))


@fault("commands", "second-run")
def _second_run(place: Place, source: Random) -> str:
    place.start("campaign", "run", str(place.file), "--workers", "1", "--directory", str(place.runs))
    return "one more campaign run"


# ---- SLURM: jobs that run, whatever they run


def _job(*command: str) -> Fault:
    def call(place: Place, source: Random) -> str | None:
        cluster = place.cluster
        jobs = [] if cluster is None else cluster.run("squeue", "-h", "-t", "R", "-o", "%A", check=False).stdout.split()
        if cluster is None or not jobs:
            return None
        job = source.choice(sorted(jobs))
        done = cluster.run(*command, job, check=False)
        return f"{' '.join(command)} {job}: {done.returncode}"

    return call


fault("slurm", "scancel")(_job("scancel"))
fault("slurm", "scancel-kill")(_job("scancel", "-s", "KILL", "-f"))
fault("slurm", "requeue")(_job("scontrol", "requeue"))


def _requeue_without_folder(change: Callable[[Path], object]) -> Fault:
    """Take the folder in which a running job was submitted, and put the job back into the queue a little later."""

    def call(place: Place, source: Random) -> str | None:
        if place.cluster is None:
            return None
        running = place.cluster.run("squeue", "-h", "-t", "R", "-O", "JobID:20,WorkDir:4096", check=False).stdout
        jobs = sorted(line.split() for line in running.splitlines() if str(place.runs) in line)
        if not jobs:
            return None
        job, folder = source.choice(jobs)
        try:
            change(Path(folder))
        except OSError:
            return None
        time.sleep(source.uniform(0.0, 10.0))
        done = place.cluster.run("scontrol", "requeue", job, check=False)
        return f"{job}: {done.returncode}, {Path(folder).name}"

    return call


fault("slurm", "requeue-without-folder")(_requeue_without_folder(shutil.rmtree))
fault("slurm", "requeue-renamed-folder")(
    _requeue_without_folder(lambda folder: folder.rename(folder.with_name(f"moved-{folder.name}")))
)


@fault("slurm", "slurmd-stopped")
def _stop_slurmd(place: Place, source: Random) -> str | None:
    daemons = [] if place.cluster is None else sorted(place.cluster.folder.glob("slurmd*.pid"))
    if not daemons:
        return None
    pid = int(source.choice(daemons).read_text())
    try:
        os.kill(pid, signal.SIGSTOP)
        time.sleep(15.0)
        os.kill(pid, signal.SIGCONT)
    except ProcessLookupError:
        return None
    return f"slurmd {pid} for 15 s"
