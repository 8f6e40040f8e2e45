"""Hardware and software of a training run for its record, without names of hosts, users or folders."""

import os
import platform
from pathlib import Path
from typing import Any

from esnet.training.settings import TrainingSettings


def training_environment(settings: TrainingSettings, *, replicas: int = 1) -> dict[str, Any]:
    """Describe the machine and how TensorFlow uses it, in JSON types.

    ``replicas`` is the number of devices that share each batch (MirroredStrategy). In the result, ``cores`` counts the
    cores available to this process, and 0 ``threads`` means TensorFlow's default.
    """
    import keras
    import tensorflow

    threading = tensorflow.config.threading
    return {
        "os": f"{platform.system()} {platform.machine()}",
        "cpu": _cpu_model(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "threads": {
            "intra_op": threading.get_intra_op_parallelism_threads() or _from_environment("TF_NUM_INTRAOP_THREADS"),
            "inter_op": threading.get_inter_op_parallelism_threads() or _from_environment("TF_NUM_INTEROP_THREADS"),
        },
        "gpus": [
            tensorflow.config.experimental.get_device_details(gpu).get("device_name", "unknown GPU")
            for gpu in tensorflow.config.list_physical_devices("GPU")
        ],
        "replicas": replicas,
        "backend": keras.config.backend(),
        "precision": settings.precision,
        "xla": settings.xla,
        "deterministic": settings.deterministic and not settings.xla,
    }


def _from_environment(name: str) -> int:
    value = os.environ.get(name, "")
    return int(value) if value.isdecimal() else 0


def _cpu_model() -> str:
    """Return the CPU model from /proc/cpuinfo on Linux, since platform.processor() is often empty there."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith(("model name", "Model", "Processor"))]
    return names[0] if names else platform.machine()
