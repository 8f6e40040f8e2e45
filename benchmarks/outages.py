"""Test that a campaign ends like an undisturbed one after a database outage at any moment and of any length.

    python benchmarks/outages.py [--lengths 5,45,105,300] [--moments checkout,engine,result,record,screen]
                                 [--side-by-side 6] [--answers-lost] [--keep FOLDER]

For each length and moment, `campaign run` executes a campaign (one candidate, two references, scored by a potential) on
a real mongod behind a TCP proxy, which cuts all connections and refuses new ones from that moment on:

    checkout   a worker asks for its first firework (a relaxation)
    engine     the engine of the first relaxation has begun to write its files
    result     the first result is written to the JobStore
    record     the outcome of the candidate's relaxation is recorded
    screen     the predictions of the Screen are written

With `--answers-lost`, the request at that moment is still executed, but its answer is lost. No command is repeated: the
one `campaign run` must end successfully. Compared with the undisturbed campaign are the table (energies within 0.005
eV/atom), the number of engine runs, and the ledger: at most one attempt of a calculation may be lost, and none if its
result is in the JobStore. `campaign verify` must find no errors, and no traceback may appear on the screen. The exit
status is 1 if a campaign ended differently.

The engine is vasp-gpaw, played back from tests/chaos/recordings.tar.xz with 8 s per calculation, so that an outage of
5 s is shorter.
"""

from __future__ import annotations

import argparse
import shutil
import signal
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), *(str(ROOT / "tests" / name) for name in (".", "chaos", "cluster"))]

from chaos_campaign import CAMPAIGNS, Outcome, Table, judge, keep, read_table  # noqa: E402
from chaos_place import Place  # noqa: E402
from chaos_server import ChaosServer  # noqa: E402
from database_proxy import command  # noqa: E402

#: Request to the database at which it becomes unreachable; None: see `_wait_for_engine`.
MOMENTS = {
    "checkout": command("findAndModify", "fireworks"),
    "engine": None,
    "result": command("update", "outputs"),
    "record": command("findAndModify", "candidates"),
    "screen": command("update", "candidates") + rb".*prediction",
}
CAMPAIGN = CAMPAIGNS["tiny"] | {"candidates": {"prototypes": ["B2"], "elements": ["Al", "Cu"]}}
ENGINE_S, LIMIT_S = 8.0, 600.0


@dataclass(frozen=True)
class Row:
    """One campaign: moment and length of the outage, and the outcome.

    Attributes
    ----------
    tries_lost
        Number of incomplete attempts of the calculation or step with the most of them.
    engine_runs
        Number of engine runs.
    """

    moment: str
    away_s: float
    outcome: Outcome
    tries_lost: int
    engine_runs: int

    def wrong(self, undisturbed: Row, *, answers_lost: bool) -> list[str]:
        """Return the deviations from the undisturbed campaign."""
        is_stored = self.moment == "record" or (self.moment == "result" and answers_lost)
        found = [f"{name} {getattr(self.outcome, name)}" for name in ("different", "lost", "doubled", "tracebacks")]
        found = [each for each in found if not each.endswith("[]")]
        found += [f"verify: {finding}" for finding in self.outcome.findings]
        found += [] if self.outcome.finished else ["not finished"]
        found += [f"{self.tries_lost} tries lost"] if self.tries_lost > int(not is_stored) else []
        more = self.engine_runs - undisturbed.engine_runs
        return found + ([f"{more} more runs of the engine"] if more > self.tries_lost else [])


def main() -> int:
    """Print a line for each campaign when it ends, and the table."""
    options = parse()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    folder = Path(tempfile.mkdtemp(prefix="outages-"))
    with tarfile.open(ROOT / "tests" / "chaos" / "recordings.tar.xz") as archive:
        archive.extractall(folder / "recorded", filter="data")
    server = ChaosServer(folder)
    rows: list[Row] = []
    try:
        with place_in(folder, server, "undisturbed") as place:
            undisturbed, expected = run(place, "", 0.0, None, options)
        if wrong := undisturbed.wrong(undisturbed, answers_lost=False):
            raise SystemExit(f"the undisturbed campaign: {'; '.join(wrong)}")

        def run_one(moment: str, away_s: float) -> Row:
            with place_in(folder, server, f"{moment}-{away_s:.0f}") as place:
                row, _ = run(place, moment, away_s, expected, options)
                said = "; ".join(row.wrong(undisturbed, answers_lost=options.answers_lost))
                print(
                    f"{moment:8s} {away_s:4.0f} s: {row.outcome.seconds:4.0f} s, {said or 'as undisturbed'}", flush=True
                )
                if said and options.keep is not None:
                    keep(row.outcome, place, options.keep)
            return row

        with ThreadPoolExecutor(options.side_by_side) as pool:
            # the longest ones first, so that the others can run at the same time
            cells = [(moment, away_s) for away_s in sorted(options.lengths, reverse=True) for moment in options.moments]
            rows += pool.map(run_one, *zip(*cells, strict=True))
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)
    wrong = [row for row in rows if row.wrong(undisturbed, answers_lost=options.answers_lost)]
    print(f"\n{table(rows, wrong, options)}")
    return int(bool(wrong))


def parse() -> argparse.Namespace:
    """Parse the options."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lengths", type=_numbers, default=[5.0, 45.0, 105.0, 300.0], help="seconds; 5,45,105,300")
    parser.add_argument("--moments", type=_moments, default=list(MOMENTS), help=f"default {','.join(MOMENTS)}")
    parser.add_argument("--side-by-side", type=int, default=6, help="campaigns at the same time; default 6")
    parser.add_argument("--answers-lost", action="store_true", help="the request of the moment is carried out")
    parser.add_argument("--keep", type=Path, help="folder for the output of campaigns that end otherwise")
    return parser.parse_args()


def _numbers(text: str) -> list[float]:
    return [float(each) for each in text.split(",")]


def _moments(text: str) -> list[str]:
    if unknown := set(text.split(",")) - MOMENTS.keys():
        raise argparse.ArgumentTypeError(f"found {', '.join(unknown)}; right: {', '.join(MOMENTS)}")
    return text.split(",")


@contextmanager
def place_in(folder: Path, server: ChaosServer, name: str) -> Iterator[Place]:
    """Yield a folder for one campaign, whose processes are stopped afterwards."""
    place = Place(server, folder / name, CAMPAIGN, recorded=folder / "recorded", engine_s=ENGINE_S)
    try:
        yield place
    finally:
        place.end()
        shutil.rmtree(place.folder, ignore_errors=True)


def run(
    place: Place, moment: str, away_s: float, expected: Table | None, options: argparse.Namespace
) -> tuple[Row, Table]:
    """Run a campaign with one outage of its database, and compare it with the undisturbed one."""
    began = time.monotonic()
    outcome = Outcome(seed=int(away_s), way="run", campaign=moment)
    pattern = MOMENTS.get(moment)
    if pattern is not None:
        place.proxy.go_away_at(pattern, seconds=away_s, after=options.answers_lost)
    started = place.start("campaign", "run", str(place.file), "--workers", "1", "--directory", str(place.runs))
    if moment == "engine":
        _wait_for_engine(place)
        place.proxy.go_away(seconds=away_s)
    try:
        outcome.finished = started.process.wait(LIMIT_S + away_s) == 0 and place.is_finished
    except subprocess.TimeoutExpired:
        outcome.hung = True
    place.proxy.come_back()
    compared = read_table(place) if expected is None else expected
    judge(place, outcome, compared)
    if moment and (not place.proxy.outages or not place.proxy.is_done):
        outcome.findings.append("its moment did not come")
    outcome.seconds = time.monotonic() - began
    runs = sum(1 for _ in place.runs.rglob("vasprun.xml*"))
    return Row(moment, away_s, outcome, _tries_lost(place), runs), compared


def _wait_for_engine(place: Place) -> None:
    deadline = time.monotonic() + LIMIT_S
    while time.monotonic() < deadline and not any(place.runs.rglob("vasprun.xml")):
        time.sleep(0.5)


def _tries_lost(place: Place) -> int:
    failed = {"$match": {"outcome": {"$ne": "completed"}}}
    grouped = {"$group": {"_id": {"document": "$document", "stage": "$stage"}, "n": {"$sum": 1}}}
    return max((group["n"] for group in place.store.attempts.aggregate([failed, grouped])), default=0)


def table(rows: Sequence[Row], wrong: Sequence[Row], options: argparse.Namespace) -> str:
    """Return a Markdown table with a row for each moment and a column for each length."""
    found = {(row.moment, row.away_s): row for row in rows}
    lengths = sorted(options.lengths)
    lines = [
        f"| database away | {' | '.join(f'{length:.0f} s' for length in lengths)} |",
        "|" + " --- |" * (1 + len(lengths)),
    ]
    for moment in options.moments:
        cells = [found[moment, length] for length in lengths]
        said = [f"{'OTHERWISE' if cell in wrong else 'same'}, {cell.tries_lost} lost" for cell in cells]
        lines.append(f"| {moment} | {' | '.join(said)} |")
    return "\n".join([*lines, "", f"{len(rows)} campaigns, {len(rows) - len(wrong)} as the undisturbed one"])


if __name__ == "__main__":
    sys.exit(main())
