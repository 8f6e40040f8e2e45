"""Inject faults into small campaigns at random moments; each must end like the same campaign without faults.

    python benchmarks/chaos.py [--seed 1] [--minutes 30] [--campaigns N] [--ways run,rapidfire,cluster]
                               [--campaign emt|esnet|tiny] [--kinds processes,database,...] [--number 7] [--between 4]
                               [--keep FOLDER]

For each seed, a campaign is started in one of the ways and `--number` faults of the chosen kinds are injected.
Permanent faults are repaired, and the campaign is kept running as a user would do it: a command that has ended is
repeated, and if nothing changes for 40 s, the remedy given by `campaign verify` is applied. At the end, its table is
compared with that of the undisturbed campaign, and `campaign verify` is run. Lost: candidates and references that
failed or disappeared. Doubled: calculations with more than one successful attempt. Hung: no progress for 420 s.
Tracebacks: those on the screens of all commands given by the user. The exit status is 1 if any campaign ended
differently from the undisturbed one.

The engine is vasp-gpaw, which computes each input once and then plays back its output (tests/chaos/playback); with
`--recordings FOLDER`, the outputs are kept for the next run. Root is needed for the small disks that are filled and for
the test SLURM of the way `cluster`; without root, both are left out.

Kinds: processes (SIGKILL, SIGTERM, SIGSTOP to runner, worker, engine, raylet), memory, database (away, silent, slow,
cut, killed, frozen), long-outages (105 and 300 s), files (launch folders deleted, renamed, full; my_launchpad.yaml
gone, damaged), lpad (rerun, defuse, pause, archive, delete), data (features deleted, damaged; a chunk deleted),
commands (two submits, two reconciles, a second run), slurm (scancel, requeue, a stopped slurmd). A name such as
`database/away-45s` selects a single fault.
"""

import argparse
import json
import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), *(str(ROOT / "tests" / name) for name in (".", "chaos", "cluster"))]

from chaos_campaign import CAMPAIGNS, Outcome, keep, run_disturbed, run_undisturbed  # noqa: E402
from chaos_faults import FAULTS, chosen  # noqa: E402
from chaos_place import Place  # noqa: E402
from chaos_server import ChaosServer  # noqa: E402
from chaos_table import outcome_details, outcome_line, table  # noqa: E402
from chaos_ways import WAYS  # noqa: E402
from slurm_cluster import SlurmCluster  # noqa: E402

KINDS = "processes,memory,database,files,lpad,data,commands,slurm"


def main() -> int:
    """Print a line for each campaign, details of those that ended differently, and the table."""
    options = parse()
    faults, ways = chosen(options.kinds.split(",")), options.ways.split(",")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    folder = Path(tempfile.mkdtemp(prefix="chaos-"))
    folder.chmod(0o755)  # required by slurmd
    recorded = options.recordings or folder / "recorded"
    outcomes: list[Outcome] = []
    server = ChaosServer(folder)
    try:
        with slurm(folder, wanted="cluster" in ways) as cluster:
            with place_of(server, folder / "undisturbed", options, recorded, None) as place:
                expected = run_undisturbed(place)
            print(f"undisturbed: {json.dumps(expected)}", flush=True)
            end = time.monotonic() + 60.0 * options.minutes
            seed = options.seed
            while time.monotonic() < end and (options.campaigns is None or len(outcomes) < options.campaigns):
                way = ways[len(outcomes) % len(ways)]
                on = cluster if way == "cluster" else None
                with place_of(server, folder / str(seed), options, recorded, on) as place:
                    outcome = run_disturbed(
                        place,
                        way,
                        options.campaign,
                        seed=seed,
                        faults=faults,
                        number=options.number,
                        expected=expected,
                        between_s=options.between,
                    )
                    if outcome.is_wrong and options.keep is not None:
                        keep(outcome, place, options.keep)
                report(outcome, options.keep)
                outcomes.append(outcome)
                seed += 1
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)
    print(f"\n{table(outcomes)}")
    return int(any(outcome.is_wrong for outcome in outcomes))


def parse() -> argparse.Namespace:
    """Parse the options."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=1, help="of the first campaign; default 1")
    parser.add_argument("--minutes", type=float, default=30.0, help="no campaign begins after this; default 30")
    parser.add_argument(
        "--campaigns", type=int, default=None, help="maximum number of campaigns; default: as the time allows"
    )
    parser.add_argument("--ways", default="run,rapidfire", help=f"of {', '.join(WAYS)}, in turn; default run,rapidfire")
    parser.add_argument("--campaign", default="emt", choices=CAMPAIGNS, help="default emt")
    parser.add_argument("--kinds", default=KINDS, help=f"of {', '.join(FAULTS)}, or names; default {KINDS}")
    parser.add_argument("--number", type=int, default=7, help="faults in each campaign; default 7")
    parser.add_argument("--between", type=float, default=4.0, help="most seconds between two faults; default 4")
    parser.add_argument("--engine-seconds", type=float, default=2.0, help="of each calculation; default 2")
    parser.add_argument("--recordings", type=Path, help="folder for what the engine has computed")
    parser.add_argument("--keep", type=Path, help="folder for the outcomes, and for the output of those that are wrong")
    return parser.parse_args()


@contextmanager
def place_of(
    server: ChaosServer, folder: Path, options: argparse.Namespace, recorded: Path, cluster: SlurmCluster | None
) -> Iterator[Place]:
    """Yield a folder for one campaign, whose processes are stopped afterwards."""
    place = Place(
        server,
        folder,
        CAMPAIGNS[options.campaign],
        recorded=recorded,
        engine_s=options.engine_seconds,
        small_disk=os.geteuid() == 0 and folder.name != "undisturbed" and cluster is None,
        cluster=cluster,
    )
    try:
        yield place
    finally:
        place.end()
        if cluster is not None:
            cluster.cancel_all()
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def slurm(folder: Path, *, wanted: bool) -> Iterator[SlurmCluster | None]:
    """Start the test SLURM if requested."""
    if not wanted:
        yield None
        return
    if os.geteuid() != 0:
        raise SystemExit("--ways cluster: the test SLURM needs root; right: --ways run,rapidfire")
    cluster = SlurmCluster(folder / "slurm")
    cluster.folder.mkdir()
    try:
        cluster.call("up")
        yield cluster
    finally:
        cluster.call("down")


def report(outcome: Outcome, folder: Path | None) -> None:
    """Print the outcome of a campaign and append it to the saved outcomes."""
    print(outcome_line(outcome), flush=True)
    if outcome.is_wrong:
        print("\n".join(outcome_details(outcome)), flush=True)
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / "outcomes.jsonl").open("a") as file:
            file.write(json.dumps(outcome.to_dict()) + "\n")


if __name__ == "__main__":
    sys.exit(main())
