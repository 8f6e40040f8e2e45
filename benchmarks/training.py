"""Measure the effect of reading from disk on the speed of training, and the memory as a function of the data set size.

(a) Samples per second of training with the pipeline (`esnet.dataset.pipeline.batches`, which reads, inflates and scales
    as needed), compared with ``keras.Model.fit`` on scaled arrays in memory: the same network and the same batches in
    the same order, in the same process, in alternating rounds after a warm-up round of each. The median ratio should be
    at least 0.95.
(b) Peak memory and cost per sample as functions of the size of the data set. For each size, a separate process opens
the
    data set, splits it, fits the scaler to the training part, trains a limited number of steps and reads a whole epoch.
    Memory should be constant and below 3 GB.

    python benchmarks/training.py [--widths 16,32,64,128] [--rounds 5] [--sizes 1000,4000] [--markdown training.md]
    python benchmarks/training.py --full         1,000 to 60,000 samples, the network of the paper, fewer samples in (a)

The samples are synthetic (`esnet.dataset.synthetic`): like real DOS, they have bands with sharp edges and zeros in
between, but they compress better. They are written to a temporary folder, which needs up to 110 kB per sample.

2026-11-23, one TensorFlow thread on two busy cores (AMD EPYC): median ratio 0.97 with the paper's network (64 samples,
19 samples/s), 1.04 with widths 16,32,64,128; peak 1,850 MB with 1,000 and 2,011 MB with 60,000 samples and the paper's
network (1.34 GB from 1,000 to 4,000 samples with the small one), 0.5 to 0.7 ms to read a sample; 5 minutes.
"""

import argparse
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

# read by TensorFlow when it is imported
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np

BYTES_PER_SAMPLE = 110_000
WRITER_SEED = 7
STEPS = 8


def write_dataset(path: Path, n_samples: int) -> None:
    """Write this many synthetic samples, an RS-DOS and an IS-DOS for each of half as many materials."""
    from esnet.dataset.dataset import DatasetWriter
    from esnet.dataset.synthetic import synthetic_samples
    from esnet.representation.features import Representation

    with DatasetWriter(path, representation=Representation(), source={"kind": "benchmark"}) as writer:
        for sample in synthetic_samples(n_samples // 2, seed=WRITER_SEED):
            writer.add(sample)


def compiled(widths: tuple[int, int, int, int], batch_size: int) -> Any:
    """Return a compiled network."""
    from esnet.training.network import compiled_network
    from esnet.training.settings import TrainingSettings

    return compiled_network(TrainingSettings(widths=widths, batch_size=batch_size, deterministic=False), momentum=0.99)


def measure_speed(path: Path, *, widths: tuple[int, int, int, int], batch_size: int, rounds: int) -> dict[str, Any]:
    """Train alternately from disk and from memory, and return the samples per second of each round."""
    from esnet.dataset.dataset import Dataset
    from esnet.dataset.pipeline import batches, epoch_order
    from esnet.representation.features import network_inputs
    from esnet.representation.scaling import ChannelScaler, TargetScaling

    dataset = Dataset.open(path)
    indices = np.arange(len(dataset))
    scaler, scaling = ChannelScaler.fit_batches(dataset.blocks(indices)), TargetScaling.fit(dataset.energies)
    model = compiled(widths, batch_size)
    order = epoch_order(indices, seed=1, epoch=0)
    inputs = network_inputs(dataset.read(order), dataset.compositions[order], scaler=scaler)
    targets = scaling.standardise(dataset.energies[order])[:, None]
    from_disk = batches(dataset, indices, scaler=scaler, target_scaling=scaling, batch_size=batch_size, seed=1)
    for (read, energies), start in zip(from_disk, range(0, len(order), batch_size), strict=True):
        # both must use the same batches
        np.testing.assert_array_equal(read["up"], inputs["up"][start : start + batch_size])
        np.testing.assert_array_equal(energies, targets[start : start + batch_size])
    fits = {
        "memory": lambda: model.fit(inputs, targets, batch_size=batch_size, shuffle=False, verbose=0),
        "disk": lambda: model.fit(from_disk, shuffle=False, verbose=0),
    }
    speeds: dict[str, list[float]] = {name: [] for name in fits}
    cpu: dict[str, float] = dict.fromkeys(fits, 0.0)
    for number in range(rounds + 1):
        # the order alternates too
        for name in sorted(fits, reverse=number % 2 == 0):
            started, spent = time.perf_counter(), time.process_time()
            fits[name]()
            if number:
                speeds[name].append(len(order) / (time.perf_counter() - started))
                cpu[name] += time.process_time() - spent
    ratios = [disk / memory for disk, memory in zip(speeds["disk"], speeds["memory"], strict=True)]
    return {
        "n": len(order),
        "batch_size": batch_size,
        "widths": widths,
        "speeds": speeds,
        "ratios": ratios,
        "cpu_ratio": cpu["memory"] / cpu["disk"],
    }


def measure_size(path: Path, *, widths: tuple[int, int, int, int], batch_size: int) -> dict[str, float]:
    """Use a data set as in a training; to be run in a separate process."""
    clock = _Clock()
    from esnet.dataset.dataset import Dataset
    from esnet.dataset.pipeline import batches
    from esnet.dataset.splits import split_dataset
    from esnet.representation.scaling import ChannelScaler, TargetScaling

    clock.lap("import")
    dataset = Dataset.open(path)
    split = split_dataset(dataset)
    clock.lap("open_s")
    scaler = ChannelScaler.fit_batches(dataset.blocks(split.train))
    scaling = TargetScaling.fit(dataset.energies[split.train])
    clock.lap("scaler_ms", len(split.train))
    model = compiled(widths, batch_size)
    options: dict[str, Any] = {"scaler": scaler, "target_scaling": scaling, "batch_size": batch_size, "seed": 1}
    data = batches(dataset, split.train, **options)
    model.fit(data.take(1), shuffle=False, verbose=0)
    clock.lap("build")
    model.fit(data.take(STEPS), shuffle=False, verbose=0)
    clock.lap("train_ms", min(STEPS * batch_size, len(split.train)))
    read = sum(len(energies) for _, energies in batches(dataset, split.train, epoch=1, **options))
    clock.lap("read_ms", read)
    if read != len(split.train):
        raise RuntimeError(f"an epoch had {read} samples, the training part has {len(split.train)}")
    return clock.laps | {"samples": len(dataset), "peak_mb": peak_mb()}


def peak_mb() -> float:
    """Return the peak resident memory of this process so far, MB (Linux reports kB)."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000


class _Clock:
    """Timer for the parts of a run, in s or in ms per sample."""

    def __init__(self) -> None:
        self.laps: dict[str, float] = {}
        self._last = time.perf_counter()

    def lap(self, name: str, samples: int | None = None) -> None:
        now = time.perf_counter()
        spent, self._last = now - self._last, now
        self.laps[name] = spent if samples is None else 1000 * spent / samples


def in_own_process(job: str, path: Path, options: argparse.Namespace, **values: Any) -> dict[str, Any]:
    """Run a job of this file in a new process, so that its memory is measured from the start."""
    arguments = {"job": job, "path": str(path), "widths": options.widths, "batch_size": options.batch_size, **values}
    done = subprocess.run(
        [sys.executable, __file__, "--job", json.dumps(arguments)], stdout=subprocess.PIPE, text=True, check=True
    )
    return json.loads(done.stdout.splitlines()[-1])


def run_job(text: str) -> None:
    """Run a job in the new process, and print its result as the last line."""
    arguments = json.loads(text)
    path, widths = Path(arguments["path"]), _widths(arguments["widths"])
    started = time.perf_counter()
    result: dict[str, Any]
    if arguments["job"] == "write":
        write_dataset(path, arguments["samples"])
        result = {"write_ms": 1000 * (time.perf_counter() - started) / arguments["samples"], "write_mb": peak_mb()}
    elif arguments["job"] == "size":
        result = dict(measure_size(path, widths=widths, batch_size=arguments["batch_size"]))
    else:
        result = measure_speed(path, widths=widths, batch_size=arguments["batch_size"], rounds=arguments["rounds"])
    print(json.dumps(result), flush=True)


def _widths(text: str) -> tuple[int, int, int, int]:
    first, second, third, fourth = (int(part) for part in text.split(","))
    return first, second, third, fourth


def require_space(folder: Path, n_samples: int) -> None:
    """Exit if there is not enough disk space."""
    free, needed = shutil.disk_usage(folder).free, n_samples * BYTES_PER_SAMPLE
    if free < 1.2 * needed:
        raise SystemExit(f"{folder}: {free / 1e9:.1f} GB free, {1.2 * needed / 1e9:.1f} GB needed; set TMPDIR")


def speed_table(result: dict[str, Any]) -> list[str]:
    """Return the table of (a)."""
    speeds, ratios = result["speeds"], result["ratios"]
    lines = ["| round | memory, samples/s | disk, samples/s | ratio |", "| --- | --- | --- | --- |"]
    lines += [
        f"| {number} | {memory:.1f} | {disk:.1f} | {ratio:.3f} |"
        for number, (memory, disk, ratio) in enumerate(
            zip(speeds["memory"], speeds["disk"], ratios, strict=True), start=1
        )
    ]
    widths = ",".join(str(width) for width in result["widths"])
    lines += [
        "",
        f"{result['n']} samples, batches of {result['batch_size']}, widths {widths}: median ratio "
        f"{statistics.median(ratios):.3f} (from {min(ratios):.3f} to {max(ratios):.3f}); samples per CPU-second, "
        f"which other work on the machine does not disturb: ratio {result['cpu_ratio']:.3f}.",
    ]
    return lines


def size_table(rows: list[dict[str, float]]) -> list[str]:
    """Return the table of (b)."""
    lines = [
        "| samples | on disk, MB | write, ms each | open, s | scaler, ms each | read, ms each | train, ms each |"
        " peak of writing, MB | peak of training, MB |",
        "| --- " * 9 + "|",
    ]
    lines += [
        f"| {row['samples']} | {row['disk_mb']:.0f} | {row['write_ms']:.2f} | {row['open_s']:.1f} |"
        f" {row['scaler_ms']:.2f} | {row['read_ms']:.2f} | {row['train_ms']:.1f} | {row['write_mb']:.0f} |"
        f" {row['peak_mb']:.0f} |"
        for row in rows
    ]
    peaks = [row["peak_mb"] for row in rows]
    lines += ["", f"Peak of training: {min(peaks):.0f} to {max(peaks):.0f} MB."]
    return lines


def main() -> int:
    """Run both parts; exit code 1 if the ratio is below 0.95 or a training needed 3 GB."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--widths", default="16,32,64,128", help="of the network (default 16,32,64,128)")
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--speed-samples", type=int, default=320, help="of (a), for each round (default 320)")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--sizes", default="1000,2000,4000", help="of (b); empty: only (a)")
    parser.add_argument("--full", action="store_true", help="sizes 1000 to 60000, widths 64,128,256,512")
    parser.add_argument("--markdown", type=Path, help="where to write the tables too")
    parser.add_argument("--job", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.job:
        run_job(options.job)
        return 0
    if options.full:
        options.widths, options.sizes = "64,128,256,512", "1000,4000,15000,60000"
        options.speed_samples = min(options.speed_samples, 96)
    sizes = [int(size) for size in options.sizes.split(",") if size]
    with tempfile.TemporaryDirectory(prefix="training-benchmark-") as scratch:
        folder = Path(scratch)
        require_space(folder, max([options.speed_samples, *sizes]))
        write_dataset(folder / "speed", options.speed_samples)
        speed = in_own_process("speed", folder / "speed", options, rounds=options.rounds)
        lines = [*speed_table(speed), ""]
        print("\n".join(lines), flush=True)
        rows: list[dict[str, float]] = []
        for size in sizes:
            path = folder / f"size-{size}"
            row = in_own_process("write", path, options, samples=size)
            row["disk_mb"] = sum(file.stat().st_size for file in path.iterdir()) / 1e6
            row |= in_own_process("size", path, options)
            shutil.rmtree(path)
            rows.append(row)
            print(row, flush=True)
    if rows:
        lines += size_table(rows)
        print("\n".join(size_table(rows)))
    if options.markdown:
        options.markdown.write_text("\n".join(lines) + "\n")
    slow = statistics.median(speed["ratios"]) < 0.95
    return int(slow or any(row["peak_mb"] > 3000 for row in rows))


if __name__ == "__main__":
    sys.exit(main())
