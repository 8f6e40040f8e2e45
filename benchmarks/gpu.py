"""Measure how many structures per second the network scores and trains, relative to the limits of the device.

The paper's network (9,756,225 weights) scores with ``keras.Model.predict`` and trains with ``keras.Model.fit``
(LogCosh, Adam), in float32 and in mixed bfloat16, for several batch sizes. Its inputs are float32 arrays in host
memory, like the features on disk, so every time includes the transfer of 108,444 bytes per structure.

    python benchmarks/gpu.py [--markdown gpu.md] [--xla] [--scoring 32 4096] [--training 16 512] [--repeats 5]
    python benchmarks/gpu.py --quick          small sizes, for a CPU: about 3 CPU-minutes (2026-11-23)

Keras' backend is TensorFlow, or as set by KERAS_BACKEND; the device is the default of the backend, a GPU if there is
one. JAX always compiles the training step; ``--xla`` requests this for TensorFlow, and means torch.compile on PyTorch.
The limits are measured in the same run: products of square matrices in the same precision, and copies from host memory.
Floating-point operations are counted from the layers: two for each multiply-add in convolutions and dense layers, and
three times as many for training (forward pass, gradients of inputs and of weights). Rates are medians and limits the
best values over the repeats, after a warm-up round (tracing, compilation). On a shared machine, a limit that was
measured under load can be exceeded.
"""

import argparse
import dataclasses
import math
import os
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

# read when the backend is imported: memory of a shared GPU is allocated as needed
os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")
os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np

from esnet.network.model import build_esnet
from esnet.representation.composition import N_ELEMENTS
from esnet.representation.dos import DOS_SHAPE
from esnet.representation.features import network_inputs
from esnet.representation.scaling import ChannelScaler
from esnet.training.network import compiled_network
from esnet.training.settings import Precision, TrainingSettings

PRECISIONS: tuple[Precision, ...] = ("float32", "mixed_bfloat16")
BYTES_PER_STRUCTURE = 4 * (math.prod(DOS_SHAPE) + N_ELEMENTS)
TRAINING_COST = 3  # times the forward pass
DIFFERENT = 256  # distinct structures, which are repeated in larger sets


@dataclasses.dataclass(frozen=True, kw_only=True)
class Sizes:
    """Sizes of the measurements.

    Attributes
    ----------
    scoring, training
        Batch sizes.
    structures
        Smallest number of structures per timing, which uses whole batches.
    matrix
        Number of rows of the square matrices.
    upload
        Number of bytes copied to the device.
    repeats
        Number of timings, of which the median is taken.
    """

    scoring: tuple[int, ...]
    training: tuple[int, ...]
    structures: int
    matrix: int
    upload: int
    repeats: int

    def count(self, batch_size: int) -> int:
        """Return the number of structures per timing, a multiple of the batch size."""
        return batch_size * math.ceil(self.structures / batch_size)


FULL = Sizes(
    scoring=(32, 64, 128, 256, 512, 1024, 2048, 4096),
    training=(16, 32, 64, 128, 256, 512),
    structures=4096,
    matrix=8192,
    upload=2**30,
    repeats=5,
)
QUICK = Sizes(scoring=(32, 128), training=(16, 32), structures=64, matrix=1024, upload=2**27, repeats=3)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Limits:
    """Limits of the device: operations per second by precision, and bytes per second from host memory."""

    flops: dict[Precision, float]
    upload: float


def times(run: Callable[[], Any], repeats: int) -> list[float]:
    """Return the times of calls in s, after a warm-up call."""
    run()
    found = []
    for _ in range(repeats):
        started = time.perf_counter()
        run()
        found.append(time.perf_counter() - started)
    return found


def median_time(run: Callable[[], Any], repeats: int) -> float:
    """Return the median time of a call in s."""
    return statistics.median(times(run, repeats))


def wait(tensor: Any) -> float:
    """Wait for a result by copying one number of it to the host."""
    import keras

    return float(keras.ops.convert_to_numpy(keras.ops.cast(keras.ops.ravel(tensor)[0], "float32")))


def matmul_rate(dtype: str, size: int, repeats: int) -> float:
    """Return operations per second in products of square matrices, each with the previous result."""
    import keras

    generator = np.random.default_rng(0)
    # entries of this size keep the entries of the products at the same magnitude
    factor = keras.ops.cast(generator.normal(size=(size, size), scale=size**-0.5).astype(np.float32), dtype)
    products = 16

    def run() -> None:
        result = factor
        for _ in range(products):
            result = keras.ops.matmul(result, factor)
        wait(result)

    return products * 2 * size**3 / min(times(run, repeats))


def upload_rate(size: int, repeats: int) -> float:
    """Return bytes per second from a NumPy array in pageable host memory to the device."""
    import keras

    values = np.ones((size // 4096, 1024), dtype=np.float32)

    def run() -> None:
        # the sum over a few rows is computed on the device, so the array must be there
        wait(keras.ops.sum(keras.ops.convert_to_tensor(values)[:2], axis=0))

    return values.nbytes / min(times(run, repeats))


def count_flops(model: Any) -> int:
    """Count the operations of the forward pass for one structure, from the kernels and the number of their positions.

    The dense layers of the channel attention run twice but are counted once (0.02 % of the total).
    """
    import keras

    total = 0
    for layer in model.layers:
        if isinstance(layer, keras.layers.Conv1D):
            total += 2 * math.prod(layer.kernel.shape) * layer.output.shape[1]
        elif isinstance(layer, keras.layers.Dense):
            total += 2 * math.prod(layer.kernel.shape)
    return total


def features(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Return unscaled densities of states and compositions of this many structures."""
    generator = np.random.default_rng(0)
    dos = generator.gamma(0.5, size=(min(count, DIFFERENT), *DOS_SHAPE)).astype(np.float32)
    compositions = (generator.random((len(dos), N_ELEMENTS)) < 0.02).astype(np.float32)
    return np.resize(dos, (count, *DOS_SHAPE)), np.resize(compositions, (count, N_ELEMENTS))


def preparation_rate(repeats: int) -> float:
    """Return how many structures per second the host checks and scales before scoring, on one core."""
    dos, compositions = features(4 * DIFFERENT)
    scaler = ChannelScaler.fit(dos[:DIFFERENT])
    return len(dos) / median_time(lambda: network_inputs(dos, compositions, scaler=scaler), repeats)


def scoring_network(precision: Precision) -> Any:
    """Build the network as in a loaded bundle, with the given precision."""
    import keras

    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(precision)
    try:
        return build_esnet(seed=0)
    finally:
        keras.config.set_dtype_policy(before)


def rates(
    inputs: dict[str, np.ndarray], sizes: Sizes, *, precision: Precision, xla: bool
) -> Iterator[tuple[str, int, float]]:
    """Measure one precision, yielding task, batch size and structures per second."""
    import keras

    network = scoring_network(precision)
    for batch_size in sizes.scoring:
        part = {name: values[: sizes.count(batch_size)] for name, values in inputs.items()}
        seconds = median_time(lambda: network.predict(part, batch_size=batch_size, verbose=0), sizes.repeats)  # noqa: B023
        yield "scoring", batch_size, sizes.count(batch_size) / seconds
    # otherwise, JAX would run one operation after the other
    compiled = xla or keras.config.backend() == "jax"
    settings = TrainingSettings(precision=precision, xla=compiled, deterministic=False)
    network = compiled_network(settings, momentum=0.99)
    for batch_size in sizes.training:
        part = {name: values[: sizes.count(batch_size)] for name, values in inputs.items()}
        targets = np.linspace(-1.0, 1.0, sizes.count(batch_size), dtype=np.float32)[:, None]
        seconds = median_time(lambda: network.fit(part, targets, batch_size=batch_size, verbose=0), sizes.repeats)  # noqa: B023
        yield "training", batch_size, sizes.count(batch_size) / seconds


def describe_device() -> str:
    """Return the name of the device in use, with the relevant versions and the driver."""
    import keras

    backend = keras.config.backend()
    if backend == "tensorflow":
        import tensorflow

        version = tensorflow.__version__
        gpus = tensorflow.config.list_physical_devices("GPU")
        name = tensorflow.config.experimental.get_device_details(gpus[0]).get("device_name", "GPU") if gpus else ""
    elif backend == "jax":
        import jax

        version = jax.__version__
        name = "" if jax.devices()[0].platform == "cpu" else jax.devices()[0].device_kind
    elif backend == "torch":
        import torch

        version = torch.__version__
        name = torch.cuda.get_device_name(0) if torch.cuda.is_available() else ""
        # the default of TensorFlow and JAX, and of PyTorch for convolutions only
        torch.set_float32_matmul_precision("high")
    else:
        raise SystemExit(f"KERAS_BACKEND is {backend}: this benchmark knows tensorflow, jax and torch")
    device = f"{name}, driver {driver_version()}" if name else f"CPU ({len(os.sched_getaffinity(0))} cores)"
    return f"{device}; {backend} {version}, keras {keras.__version__}, Python {sys.version.split()[0]}"


def driver_version() -> str:
    """Return the driver version from nvidia-smi."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return "unknown"
    asked = [program, "--query-gpu=driver_version", "--format=csv,noheader"]
    answer = subprocess.run(asked, capture_output=True, text=True, check=False)
    return answer.stdout.strip().partition("\n")[0] or "unknown"


def measure_limits(sizes: Sizes) -> Limits:
    """Measure the limits of the device."""
    return Limits(
        flops={
            "float32": matmul_rate("float32", sizes.matrix, sizes.repeats),
            "mixed_bfloat16": matmul_rate("bfloat16", sizes.matrix, sizes.repeats),
        },
        upload=upload_rate(sizes.upload, sizes.repeats),
    )


def row(work: str, precision: Precision, batch_size: int, rate: float, *, flops: int, limits: Limits) -> str:
    """Return one line of the table."""
    used = rate * flops * (TRAINING_COST if work == "training" else 1)
    moved = rate * BYTES_PER_STRUCTURE
    return (
        f"| {work} | {precision} | {batch_size} | {rate:,.4g} | {1000 * batch_size / rate:,.4g} | {used / 1e12:.3g} |"
        f" {100 * used / limits.flops[precision]:.1f} | {100 * moved / limits.upload:.1f} |"
    )


def report(sizes: Sizes, *, xla: bool) -> Iterator[str]:
    """Measure, and yield the lines of the report one by one."""
    device = describe_device()
    yield f"{datetime.now(UTC):%Y-%m-%d}. {device}{'; --xla' if xla else ''}.\n"
    limits = measure_limits(sizes)
    flops = count_flops(scoring_network("float32"))
    yield (
        f"Limits: matrix product {limits.flops['float32'] / 1e12:.3g} TFLOP/s in float32 (TF32 where the device has"
        f" it), {limits.flops['mixed_bfloat16'] / 1e12:.3g} TFLOP/s in bfloat16; {limits.upload / 1e9:.3g} GB/s from"
        f" host memory. A structure takes {flops / 1e9:.3f} GFLOP forward and {BYTES_PER_STRUCTURE:,} bytes. The"
        f" host checks and scales {preparation_rate(sizes.repeats):,.4g} structures/s for scoring, on one core;"
        " that is not in the table.\n"
    )
    yield "| | precision | batch size | structures/s | ms/batch | TFLOP/s | % of product | % of transfer |"
    yield "| --- | --- | --- | --- | --- | --- | --- | --- |"
    dos, compositions = features(max(sizes.count(size) for size in (*sizes.scoring, *sizes.training)))
    inputs = {"up": dos[:, 0], "down": dos[:, 1], "composition": compositions}
    inputs = {name: np.ascontiguousarray(values) for name, values in inputs.items()}
    del dos
    for precision in PRECISIONS:
        for work, batch_size, rate in rates(inputs, sizes, precision=precision, xla=xla):
            yield row(work, precision, batch_size, rate, flops=flops, limits=limits)


def main() -> int:
    """Run the benchmark and print the table line by line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="small sizes, for a CPU")
    parser.add_argument("--scoring", type=int, nargs="*", metavar="N", help=f"batch sizes (default {FULL.scoring})")
    parser.add_argument("--training", type=int, nargs="*", metavar="N", help=f"batch sizes (default {FULL.training})")
    parser.add_argument("--repeats", type=int, help=f"timings of which the median counts (default {FULL.repeats})")
    parser.add_argument("--xla", action="store_true", help="let XLA compile the training step")
    parser.add_argument("--markdown", type=Path, help="where to write the report too")
    options = parser.parse_args()
    given = {name: getattr(options, name) for name in ("scoring", "training", "repeats")}
    sizes = dataclasses.replace(
        QUICK if options.quick else FULL, **{name: value for name, value in given.items() if value is not None}
    )
    lines = []
    for line in report(sizes, xla=options.xla):
        print(line, flush=True)
        lines.append(line)
    if options.markdown:
        options.markdown.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
