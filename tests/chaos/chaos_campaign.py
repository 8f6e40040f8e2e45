"""One campaign under faults, and what became of it beside the same campaign undisturbed."""

from __future__ import annotations

import json
import shlex
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from random import Random
from typing import Any

from chaos_faults import Fault
from chaos_place import NAME, Place
from chaos_ways import WAYS, Way

#: DFT as coarse as it can be: it is there for its files, and is played back after the first time.
_DFT = {"engine": "gpaw", "quality": "fast", "encut": 300, "kpoint_length": 10}
_COMMON = {"dft": _DFT, "retries": {"max_retries": 30}}
#: Campaigns by name. `emt` has no DOS and needs no Ray; `esnet` has both, and takes longer.
CAMPAIGNS: dict[str, dict[str, Any]] = {
    "tiny": {
        **_COMMON,
        "candidates": {"prototypes": ["B2"], "elements": ["Al", "Cu", "Ag"]},
        "scorer": {"kind": "force_field", "calculator": "EMT"},
        "policy": {"max_formation_energy": 0.5, "max_hull_energy": 0.5},
    },
    "emt": {
        **_COMMON,
        "candidates": {"prototypes": ["B2", "L1_0"], "elements": ["Al", "Cu", "Ag"]},
        "scorer": {"kind": "force_field", "calculator": "EMT"},
        "policy": {"max_formation_energy": 0.0, "max_hull_energy": 0.1, "audit": 0.2},
    },
    "esnet": {
        **_COMMON,
        "candidates": {"prototypes": ["B2", "L1_0"], "elements": ["Al", "Cu", "Ag"]},
        "model": {"bundle": "gpaw-fast-binary"},
        "policy": {"max_formation_energy": 0.2, "max_hull_energy": 0.2},
    },
}
#: A relaxation that goes on from an interrupted one ends elsewhere by less than this, eV/atom.
_SAME_ENERGY = 0.005
_COMPARED = ("decision", "stable")
_ENERGIES = ("e_form_ml", "e_hull_ml", "e_form_dft", "e_hull_dft")
#: A step that fizzled waits for up to 120 s before its third try, SLURM's requeued jobs for 120 s, and a Ray that does
#: not start on a busy machine is tried for some minutes: nothing of that is a hang.
_BEGIN_S, _FAULTS_S, _STILL_S, _HUNG_S = 120.0, 900.0, 40.0, 420.0
#: How long a second `campaign run` may take to see that the campaign is finished; it may have been given just before.
_END_S = 120.0
_MOST_STARTS = 25

Table = dict[str, dict[str, Any]]


@dataclass
class Outcome:
    """What became of a campaign.

    Attributes
    ----------
    seed, way, campaign
        What it was.
    faults
        What happened to it, as ``kind/name: what``.
    finished, hung
        Whether it came to its end; whether nothing moved for long although everything was healed.
    different
        Rows of the table that are not those of the undisturbed campaign.
    lost
        Candidates and references that failed, or are not there.
    doubled
        Calculations with more than one successful attempt.
    tracebacks
        On the screens of the commands that its user has started.
    of_fireworks
        Screens of `rlaunch` with the tracebacks that FireWorks prints of each task that fails; they do not make the
        campaign wrong.
    findings
        Of `campaign verify`.
    remedies
        Commands that `campaign verify` had named, and that were given because nothing moved.
    """

    seed: int
    way: str
    campaign: str
    faults: list[str] = field(default_factory=list)
    seconds: float = 0.0
    finished: bool = False
    hung: bool = False
    different: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    tracebacks: list[str] = field(default_factory=list)
    of_fireworks: list[str] = field(default_factory=list)
    findings: list[str] = field(default_factory=list)
    remedies: list[str] = field(default_factory=list)

    @property
    def is_wrong(self) -> bool:
        """Whether it ended otherwise than undisturbed, or showed its user a traceback."""
        wrong = self.different or self.lost or self.doubled or self.tracebacks or self.findings
        return bool(not self.finished or self.hung or wrong)

    def to_dict(self) -> dict[str, Any]:
        """Return all of it as JSON types."""
        return asdict(self)


def run_undisturbed(place: Place, way: str = "run") -> Table:
    """Run a campaign without faults; return its table.

    Raises
    ------
    RuntimeError
        If it does not come to its end.
    """
    runner = WAYS[way]()
    runner.begin(place)
    outcome = Outcome(seed=0, way=way, campaign="")
    _run_to_the_end(place, runner, outcome)
    if not outcome.finished:
        said = "\n".join(path.read_text(errors="replace")[-2000:] for path in sorted(place.folder.glob("*.out")))
        raise RuntimeError(f"the undisturbed campaign did not come to its end\n{said}")
    return read_table(place)


def run_disturbed(
    place: Place,
    way: str,
    campaign: str,
    *,
    seed: int,
    faults: Mapping[str, Fault],
    number: int,
    expected: Table,
    between_s: float = 4.0,
) -> Outcome:
    """Run a campaign, let some faults happen to it at random moments, heal them, and wait for its end.

    Parameters
    ----------
    between_s
        The longest time between two faults.
    """
    source, began = Random(seed), time.monotonic()
    outcome = Outcome(seed=seed, way=way, campaign=campaign)
    runner = WAYS[way]()
    runner.begin(place)
    _wait_for_candidates(place, runner, len(expected))
    # where no fault applies any more, it is enough
    deadline = time.monotonic() + _FAULTS_S
    while len(outcome.faults) < number and time.monotonic() < deadline and not place.is_finished:
        time.sleep(source.uniform(0.3, between_s))
        outcome.faults += _let_one_happen(place, source, faults)
        place.server.start()
        if not place.is_finished:
            runner.keep_going(place)
    place.heal()
    _run_to_the_end(place, runner, outcome)
    judge(place, outcome, expected)
    outcome.seconds = round(time.monotonic() - began, 1)
    return outcome


def _wait_for_candidates(place: Place, runner: Way, number: int) -> None:
    deadline = time.monotonic() + _BEGIN_S
    while time.monotonic() < deadline and place.store.candidates.count_documents({}) < number:
        runner.keep_going(place)
        time.sleep(0.3)


def _let_one_happen(place: Place, source: Random, faults: Mapping[str, Fault]) -> list[str]:
    """Let the first fault in a random order happen that applies now; empty if none does."""
    names = sorted(faults)
    source.shuffle(names)
    for name in names:
        if (what := faults[name](place, source)) is not None:
            return [f"{name}: {what}"]
    return []


def _run_to_the_end(place: Place, runner: Way, outcome: Outcome) -> None:
    """Keep a campaign going until it is finished, or nothing has moved for long whatever its user did."""
    starts, before, since, asked = 0, "", time.monotonic(), 0
    while not place.is_finished:
        starts += runner.keep_going(place)
        if (now := place.progress()) != before:
            before, since, starts, asked = now, time.monotonic(), 0, 0
        still = time.monotonic() - since
        if still > _HUNG_S or starts > _MOST_STARTS:
            outcome.hung = True
            _look_around(place)
            break
        # a user who sees nothing move asks what is wrong, and does what the answer says
        if still > _STILL_S * (asked + 1):
            asked += 1
            outcome.remedies += _do_what_verify_says(place)
        time.sleep(0.5)
    outcome.finished = place.is_finished
    deadline = time.monotonic() + _END_S
    # a rapidfire waits for more for ever
    while (left := [each.label for each in place.commands if each.label.endswith("campaign-run")]) and outcome.finished:
        if time.monotonic() > deadline:
            outcome.hung = True
            outcome.findings.append(f"still running {_END_S:.0f} s after the campaign's end: {', '.join(left)}")
            break
        place.reap()
        time.sleep(0.3)


def _look_around(place: Place) -> None:
    """Leave on screens that are kept what a campaign that hangs waits for."""
    place.say("campaign", "status", NAME)
    place.say("lpad", "-l", str(place.launchpad), "get_fws", "-d", "all")
    # it shows the stack traces of what fizzled: no screen of the campaign's user
    shown = max(place.folder.glob("*-lpad-l.out"))
    shown.rename(shown.with_suffix(".txt"))
    if place.cluster is not None:
        columns = "JobID,State,Reason:80,RestartCnt,StartTime,Command:200"
        asked = (("squeue", "-a", "-O", columns), ("scontrol", "show", "nodes"))
        said = [place.cluster.run(*command, check=False).stdout for command in asked]
        (place.folder / "squeue.out").write_text("\n".join(said))


def _do_what_verify_says(place: Place) -> list[str]:
    found = place.json("campaign", "verify", NAME, "--json", "--features") or {}
    restored = place.restore(json.dumps(found.get("findings", [])))
    remedies = list(dict.fromkeys(finding["remedy"].split(" (")[0] for finding in found.get("findings", [])))
    paused = json.dumps({"spec.campaign_name": NAME, "state": "PAUSED"})
    remedies.append(f"lpad resume_fws -q {shlex.quote(paused)}")
    done = restored
    for remedy in remedies:
        words = shlex.split(remedy)
        if words[0] == "lpad" or words[:2] == ["campaign", "reconcile"]:
            login = ["-l", str(place.launchpad)] if words[0] == "lpad" else []
            code, _ = place.say(words[0], *login, *words[1:])
            done.append(f"{remedy}: {code}")
    return done


def judge(place: Place, outcome: Outcome, expected: Table) -> None:
    """Compare a campaign with the undisturbed one, and ask `campaign verify`."""
    found = read_table(place)
    for row in sorted(expected.keys() | found.keys()):
        if row not in found:
            outcome.lost.append(f"{row} is not in the table")
        elif row not in expected or not _same(found[row], expected[row]):
            outcome.different.append(f"{row}: {found[row]}, undisturbed {expected.get(row)}")
    for collection in place.store.structures:
        for failed in collection.find({"state": {"$in": ["dos_failed", "relax_failed"]}}, ["final_failure.error"]):
            why = str((failed.get("final_failure") or {}).get("error"))[:150]
            outcome.lost.append(f"{failed['_id']}: {why}")
    completed = {"$match": {"outcome": "completed", "document": {"$ne": None}}}
    grouped = {"$group": {"_id": {"document": "$document", "stage": "$stage"}, "n": {"$sum": 1}}}
    for group in place.store.attempts.aggregate([completed, grouped, {"$match": {"n": {"$gt": 1}}}]):
        outcome.doubled.append(f"{group['_id']['document']} {group['_id']['stage']}: {group['n']}")
    if any(each.startswith("data/") for each in outcome.faults):
        # of what is lost and not needed any more nothing says a word before it is asked
        outcome.remedies += _do_what_verify_says(place)
    verified = place.json("campaign", "verify", NAME, "--json", "--features")
    if verified is None:
        outcome.findings.append("campaign verify gave no answer")
    else:
        outcome.findings += [f"{each['check']}: {each['subject']}: {each['problem']}" for each in verified["findings"]]
    outcome.tracebacks = place.tracebacks()
    outcome.of_fireworks = place.tracebacks(of_fireworks=True)


def read_table(place: Place) -> Table:
    """The campaign's table by candidate, without what may differ between two runs: ids and CPU-seconds."""
    rows = place.json("campaign", "results", NAME, "--format", "json") or []
    fields = (*_COMPARED, *_ENERGIES)
    return {f"{row['formula']}:{row['prototype']}": {name: row[name] for name in fields} for row in rows}


def _same(found: Mapping[str, Any], expected: Mapping[str, Any]) -> bool:
    for name in _ENERGIES:
        first, second = found[name], expected[name]
        if (first is None) != (second is None) or (first is not None and abs(first - second) > _SAME_ENERGY):
            return False
    return all(found[name] == expected[name] for name in _COMPARED)


def keep(outcome: Outcome, place: Place, folder: Path) -> None:
    """Keep what the commands of a campaign said on their screens, and the workers' logs."""
    target = folder / f"{outcome.way}-{outcome.campaign}-{outcome.seed}"
    target.mkdir(parents=True, exist_ok=True)
    for path in [*place.folder.glob("*.out"), *place.folder.glob("*.txt"), *place.runs.rglob("*.log")]:
        (target / path.name).write_bytes(path.read_bytes()[-500_000:])
