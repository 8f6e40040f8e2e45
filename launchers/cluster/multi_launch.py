"""Many short fireworks in one queue job: ``python -m launchers.cluster.multi_launch``.

It starts with the firework reserved for the job, like ``rlaunch singleshot --fw_id``, and continues with others of its
category while there are any and the job's time suffices for another one of the expected length. Each is reserved under
the job's id before it is launched, so that its process and job can be found like those of any queued firework.
"""

import argparse
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

from fireworks import FWorker, LaunchPad
from fireworks.core.rocket_launcher import launch_rocket
from fireworks.utilities.fw_utilities import create_datestamp_dir

from launchers.cluster.walltime import job_id, time_left
from launchers.database.settings import DatabaseSettings
from launchers.workers.project_worker import CampaignWorker

logger = logging.getLogger(__name__)


@dataclass
class PackedRun:
    """Runs fireworks one after the other.

    Attributes
    ----------
    launchpad, fworker
        FireWorks' LaunchPad and FireWorker.
    most
        Largest number of calculations, not counting the recording of each.
    estimate_s
        Expected time of one in s; the longest so far if that is longer.
    margin_s
        Time before the job's end in which nothing may run any more, in s.
    """

    launchpad: LaunchPad
    fworker: FWorker
    most: int
    estimate_s: float
    margin_s: float
    longest_s: float = field(default=0.0, init=False)
    interrupted: bool = field(default=False, init=False)

    def run(self, first: int | None) -> int:
        """Launch fireworks, starting with the reserved one, until no work or time is left; return their number."""
        launched = calculations = 0
        fw_id = first if first is not None else self._reserve_next()
        while fw_id is not None:
            self._launch(fw_id)
            launched, calculations = launched + 1, calculations + 1
            while not self.interrupted and (following := self._reserve_following(fw_id)) is not None:
                self._launch(following)
                launched, fw_id = launched + 1, following
            if self.interrupted or calculations >= self.most or not self.has_time():
                break
            fw_id = self._reserve_next()
        return launched

    def has_time(self) -> bool:
        """Whether the job's time suffices for another firework."""
        left = time_left()
        if left is None:
            return True
        needed = max(self.estimate_s, self.longest_s) + self.margin_s
        if left <= needed:
            logger.info("%.0f s are left of this job, and one more needs %.0f s: it ends here", left, needed)
        return left > needed

    def interrupt(self, number: int, _frame: FrameType | None) -> None:
        """Handle the signal before the time limit: FireWorks ends the firework, and no other starts."""
        self.interrupted = True
        logger.warning("signal %d: the job's time is over", number)
        sys.exit(128 + number)

    def _launch(self, fw_id: int) -> None:
        here = Path.cwd()
        os.chdir(create_datestamp_dir(str(here), logging.getLogger(f"{__name__}.fireworks"), prefix="launcher_"))
        began = time.monotonic()
        try:
            launch_rocket(self.launchpad, self.fworker, fw_id, strm_lvl="INFO")
        finally:
            os.chdir(here)
        self.longest_s = max(self.longest_s, time.monotonic() - began)

    def _reserve_next(self) -> int | None:
        firework, launch_id = self.launchpad.reserve_fw(self.fworker, str(Path.cwd()))
        return None if firework is None else self._mark(firework.fw_id, launch_id)

    def _reserve_following(self, fw_id: int) -> int | None:
        """Reserve a firework of the same workflow and category made ready by the one just finished; return its id."""
        workflow = self.launchpad.workflows.find_one({"nodes": fw_id}, ["links"]) or {}
        children = [int(child) for child in (workflow.get("links") or {}).get(str(fw_id), [])]
        if not children:
            return None

        only = CampaignWorker(self.fworker.name, self.fworker.category, {"fw_id": {"$in": children}})
        firework, launch_id = self.launchpad.reserve_fw(only, str(Path.cwd()))
        return None if firework is None else self._mark(firework.fw_id, launch_id)

    def _mark(self, fw_id: int, launch_id: int) -> int:
        job = job_id()
        if job is not None:
            self.launchpad.set_reservation_id(launch_id, job)
        return fw_id


def gpus_of_lane(visible: str | None, lane: int, lanes: int) -> str | None:
    """Return CUDA_VISIBLE_DEVICES for one of several processes that share a job's GPUs.

    Parameters
    ----------
    visible
        Value set by the scheduler for the job; None or empty for no GPU.
    lane, lanes
        Number of this process, and of all. With fewer GPUs than processes, several share one.
    """
    if not visible:
        return visible
    gpus = visible.split(",")
    return ",".join(gpus[lane::lanes] or [gpus[lane % len(gpus)]])


def _run_side_by_side(options: argparse.Namespace) -> int:
    """Start a process for each lane, forward signals to them, and wait for all."""
    lanes = options.side_by_side
    base = [sys.executable, "-m", "launchers.cluster.multi_launch", "-l", options.launchpad, "-w", options.fworker]
    base += ["--estimate", str(options.estimate), "--margin", str(options.margin)]
    processes: list[subprocess.Popen[bytes]] = []

    def hand_on(number: int, _frame: FrameType | None) -> None:
        for process in processes:
            if process.poll() is None:
                process.send_signal(number)

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, hand_on)
    for lane in range(lanes):
        most = options.most // lanes + (lane < options.most % lanes)
        command = [*base, "--most", str(most), "singleshot"]
        if lane == 0 and options.fw_id is not None:
            command += ["--fw_id", str(options.fw_id)]
        environment = dict(os.environ)
        gpus = gpus_of_lane(os.environ.get("CUDA_VISIBLE_DEVICES"), lane, lanes)
        if gpus is not None:
            environment["CUDA_VISIBLE_DEVICES"] = gpus
        processes.append(subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL))
    return max(abs(process.wait()) for process in processes)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m launchers.cluster.multi_launch", description=__doc__)
    parser.add_argument("-l", dest="launchpad", required=True, help="my_launchpad.yaml")
    parser.add_argument("-w", dest="fworker", required=True, help="FireWorker file of the category")
    parser.add_argument("--most", type=int, default=1, help="calculations in this job, at most")
    parser.add_argument("--estimate", type=float, default=0.0, help="expected seconds of one")
    parser.add_argument("--margin", type=float, default=60.0, help="seconds to keep free before the job's end")
    parser.add_argument(
        "--side-by-side", type=int, default=1, help="this number at the same time, sharing the job's GPUs"
    )
    # words required and appended by FireWorks' queue launcher
    parser.add_argument("mode", choices=["singleshot"])
    parser.add_argument("--fw_id", type=int, default=None, help="the firework that is reserved for this job")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point of ``python -m launchers.cluster.multi_launch``."""
    options = _parser().parse_args(arguments)
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(name)s %(message)s")
    if options.side_by_side > 1:
        return _run_side_by_side(options)

    launchpad = DatabaseSettings.from_file(Path(options.launchpad)).launchpad()
    fworker = CampaignWorker.of(FWorker.from_file(options.fworker))
    run = PackedRun(launchpad, fworker, options.most, options.estimate, options.margin)
    signal.signal(signal.SIGINT, run.interrupt)
    logger.info("fireworks launched: %d", run.run(options.fw_id))
    return 1 if run.interrupted else 0


if __name__ == "__main__":
    sys.exit(main())
