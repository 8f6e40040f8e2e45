"""Score candidates in Ray, from ids to predictions.

Each actor loads the bundle once and reads the features of its batches; it receives ids and returns numbers. The calling
process never imports TensorFlow.
"""

import math
import uuid
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

from esnet.bundle.bundle import BundleInfo
from esnet.ray.metrics import RayMetrics
from esnet.ray.workers import gpus_of_a_worker, room_for, worker_options
from esnet.representation.features import Representation
from esnet.scoring.actor import ScoringActor
from esnet.scoring.batch import ReadFeatures, ScoringError
from esnet.scoring.pool import IN_FLIGHT, ActorPool, Batch, Usage
from esnet.scoring.prediction import Prediction
from esnet.scoring.progress import Progress

__all__ = ["Prediction", "ReadFeatures", "ScoringError", "Usage", "score", "stream_predictions"]

#: Largest number of candidates in the memory of an actor at the same time, 216 kB each.
_LARGEST_BATCH = 256


def score(ids: Iterable[str], **options: Any) -> list[Prediction]:
    """Predict the formation energies of candidates with a pool of Ray actors; options as for `stream_predictions`.

    Returns one prediction per id, in order. A candidate without usable features has a reason instead of an energy.
    """
    wanted = list(dict.fromkeys(str(each) for each in ids))
    predictions = {found.id: found for batch in stream_predictions(wanted, **options) for found in batch}
    return [predictions[each] for each in wanted]


def stream_predictions(
    ids: Iterable[str],
    *,
    bundle_path: Path | str,
    read_features: ReadFeatures,
    name: str = "esnet",
    n_actors: int | None = None,
    batch_size: int | None = None,
    num_gpus_per_actor: float | None = None,
    cpu_threads: int = 1,
    on_usage: Callable[[Usage], None] | None = None,
    representation: Representation | None = None,
    max_batch_failures: int = 2,
    residual: bool | str = False,
) -> Iterator[list[Prediction]]:
    """Predict the formation energies of candidates with a pool of Ray actors, yielding each batch as it arrives.

    The actors continue with the next batches while the caller processes one.

    Ray must be connected (see `esnet.ray.session.ray_session`).

    Parameters
    ----------
    ids
        Candidates; duplicates are scored once.
    bundle_path
        The trained model, at a path shared by all Ray nodes.
    read_features
        Called in the actors with the ids of a batch (see `ReadFeatures`).
    name
        Name of actors and tasks in Ray's dashboard, e.g. ``alloys/screen/0``; metrics are tagged with the part before
        the first ``/``.
    n_actors
        Largest number of actors (at most one per batch). An actor takes 10 to 30 s to start and uses 0.8 GB. If None,
        as many as fit on Ray's GPUs, or one per node without GPUs.
    batch_size
        Number of ids per batch, which the network processes together. If None, an equal share per actor, at most 256.
    num_gpus_per_actor
        Number of GPUs reserved for an actor. If None, one if Ray has any.
    cpu_threads
        Number of cores reserved for an actor.
    on_usage
        Called once at the end, also after an error, with the usage of the actors up to the last answer of each.
    representation
        Representation of the features, which must match that of the model. If None, it is not checked.
    max_batch_failures
        Number of retries of a batch after its actor died or reading failed.
    residual
        Residuals to accept instead of formation energies, as in `BundleInfo.read`; the caller adds what they lack.

    Yields
    ------
    list of Prediction
        Predictions for one batch; batches arrive in no particular order, and there is one prediction per id in total. A
        candidate without usable features has a reason instead of an energy.

    Raises
    ------
    BundleError, RepresentationError
        If the bundle cannot be used; no actor is then started.
    RaySessionError
        If no node has the cores or GPUs that an actor needs.
    ScoringError
        If a batch failed more often than allowed (the message names its ids), or no actor starts.
    """
    import ray

    wanted = list(dict.fromkeys(str(each) for each in ids))
    if min(1 if n_actors is None else n_actors, 1 if batch_size is None else batch_size) < 1:
        raise ValueError(f"n_actors={n_actors!r} and batch_size={batch_size!r} must be 1 or more")
    path = Path(bundle_path).resolve()
    checksum = BundleInfo.read(path, representation=representation, residual=residual).checksum
    if not wanted:
        return
    gpus = gpus_of_a_worker() if num_gpus_per_actor is None else num_gpus_per_actor
    options = worker_options(cpu_threads=cpu_threads, num_gpus=gpus)
    if n_actors is None:
        n_actors = room_for(num_gpus=gpus)
    if batch_size is None:
        batch_size = min(_LARGEST_BATCH, math.ceil(len(wanted) / n_actors))
    batches = [Batch(wanted[start : start + batch_size]) for start in range(0, len(wanted), batch_size)]
    actor_class = ray.remote(**options, max_restarts=0, max_concurrency=IN_FLIGHT)(ScoringActor)
    titles = (f"{name} scorer {number}" for number in count(1))
    # actor names must be unique, and the same Screen may run twice
    run = uuid.uuid4().hex[:6]

    def new_actor() -> Any:
        title = next(titles)
        named = actor_class.options(name=f"{title} ({run})")
        return named.remote(title, str(path), checksum, read_features, batch_size)

    pool = ActorPool(
        new_actor=new_actor,
        max_failures=max_batch_failures,
        waiting=deque(batches),
        n_actors=min(n_actors, len(batches)),
        task_name=f"{name}: score",
        resources={"CPU": cpu_threads, "GPU": gpus} if gpus else {"CPU": cpu_threads},
    )
    progress = Progress(RayMetrics(name.split("/")[0]), len(wanted))
    try:
        for scored in pool.answers():
            progress.tell(len(scored))
            if scored:
                yield scored
    finally:
        progress.end()
        pool.end()
        if on_usage is not None:
            on_usage(pool.usage(num_gpus=gpus))
