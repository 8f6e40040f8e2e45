"""Resources of Ray workers that use TensorFlow: cores, GPUs, environment."""

import os
from typing import Any

from esnet.ray.session import RaySessionError


def worker_options(*, cpu_threads: int, num_gpus: float) -> dict[str, Any]:
    """Return the options of a Ray actor that uses TensorFlow.

    Parameters
    ----------
    cpu_threads
        Number of cores that Ray reserves, and of threads that TensorFlow may use (by default, it uses all cores in
        every actor).
    num_gpus
        Number of GPUs, or fraction of one, that Ray reserves.

    Raises
    ------
    ValueError
        If a number is invalid.
    RaySessionError
        If no node of the connected Ray has these resources, in which case the actor would wait forever.
    """
    if cpu_threads < 1 or num_gpus < 0:
        raise ValueError(f"cpu_threads={cpu_threads!r} must be 1 or more, num_gpus={num_gpus!r} 0 or more")
    _require_node(cpu_threads, num_gpus)
    environment = {
        "TF_NUM_INTRAOP_THREADS": str(cpu_threads),
        "TF_NUM_INTEROP_THREADS": "1",
        "OMP_NUM_THREADS": str(cpu_threads),
        "TF_CPP_MIN_LOG_LEVEL": "3",
        # several actors may share a GPU, of which TensorFlow and JAX would otherwise take all the memory
        "TF_FORCE_GPU_ALLOW_GROWTH": "true",
        "XLA_PYTHON_CLIENT_PREALLOCATE": "false",
    }
    if "KERAS_BACKEND" in os.environ:
        environment["KERAS_BACKEND"] = os.environ["KERAS_BACKEND"]
    return {"num_cpus": cpu_threads, "num_gpus": num_gpus, "runtime_env": {"env_vars": environment}}


def gpus_of_a_worker() -> float:
    """Return the default for a worker: one GPU, or none if Ray has none."""
    return 1.0 if any(node.get("GPU", 0) >= 1 for node in _nodes()) else 0.0


def room_for(*, num_gpus: float) -> int:
    """Return the number of workers with ``num_gpus`` each that fit on Ray's GPUs, or one per node without GPUs."""
    nodes = _nodes()
    if not num_gpus:
        return max(1, len(nodes))
    return max(1, sum(int(node.get("GPU", 0) / num_gpus + 1e-9) for node in nodes))


def room_on_cores(*, bytes_each: int) -> tuple[int, int]:
    """Return how many workers with one core and the given memory fit on Ray's nodes, and the memory each reserves.

    If no node has that much memory, there is one worker that reserves the memory of the largest node, since it would
    otherwise wait forever.
    """
    nodes = [(int(node["CPU"]), int(node.get("memory", 0.0))) for node in _nodes()]
    n_workers = sum(min(cores, memory // bytes_each) for cores, memory in nodes)
    return max(1, n_workers), min(bytes_each, max((memory for _, memory in nodes), default=0))


def alive_nodes() -> list[dict[str, float]]:
    """Return the resources of Ray's live nodes."""
    import ray

    return [node["Resources"] for node in ray.nodes() if node["Alive"]]


def _nodes() -> list[dict[str, float]]:
    """Return the resources of the compute nodes; a head node may have none."""
    return [node for node in alive_nodes() if node.get("CPU", 0) >= 1]


def _require_node(cpu_threads: int, num_gpus: float) -> None:
    resources = alive_nodes()
    if any(node.get("CPU", 0) >= cpu_threads and node.get("GPU", 0) >= num_gpus for node in resources):
        return
    found = "; ".join(f"{node.get('CPU', 0):g} CPUs, {node.get('GPU', 0):g} GPUs" for node in resources)
    raise RaySessionError(
        f"no node has {cpu_threads} CPUs and {num_gpus:g} GPUs for one actor; Ray's nodes have: {found}"
    )
