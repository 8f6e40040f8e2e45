"""Training in a Ray worker, so that the calling process never imports TensorFlow."""

import logging
import uuid
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from esnet.bundle.bundle import BundleInfo, refuse_existing
from esnet.bundle.record import TrainingRecord
from esnet.ray.metrics import EPOCH, LOSS, VALIDATION_MAE, RayMetrics
from esnet.ray.workers import gpus_of_a_worker, worker_options
from esnet.representation.features import Representation
from esnet.training.fine_tuning import fine_tune
from esnet.training.train import Progress, TrainingError, TrainingSettings, train

logger = logging.getLogger(__name__)

_POLL_S = 1.0


class _Trainer:
    """Ray actor with two threads: one trains, the other reports progress."""

    def __init__(self, name: str) -> None:
        # Ray's worker process has no log handler; the dashboard shows an actor's log
        logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
        self._title = name
        self._epochs: list[tuple[int, dict[str, float]]] = []

    def __repr__(self) -> str:
        return self._title

    def train(
        self,
        bundle_path: str,
        samples: Mapping[str, Any],
        settings: TrainingSettings,
        representation: Representation,
        further: Mapping[str, Any] | None,
    ) -> None:
        options: dict[str, Any] = {
            **samples,
            "settings": settings,
            "representation": representation,
            "progress": self._end_epoch,
        }
        if further is None:
            train(**options).save(bundle_path)
        else:
            fine_tune(bundle_path, **further, **options)

    def _end_epoch(self, epoch: int, losses: Mapping[str, float]) -> None:
        self._epochs.append((epoch, dict(losses)))
        told = ", ".join(f"{name} {value:.4g}" for name, value in losses.items())
        logger.info("%s: epoch %d, %s", self._title, epoch, told)

    def epochs(self, first: int) -> list[tuple[int, dict[str, float]]]:
        return self._epochs[first:]


def train_in_ray(
    bundle_path: Path | str,
    *,
    dos: ArrayLike,
    compositions: ArrayLike,
    targets: ArrayLike,
    ids: Sequence[str],
    settings: TrainingSettings,
    representation: Representation,
    source: Mapping[str, Any] | None = None,
    initial: Path | str | None = None,
    materials: Sequence[str] | None = None,
    kinds: Sequence[str] | None = None,
    earlier: Collection[str] | None = None,
    name: str = "esnet",
    progress: Progress | None = None,
) -> TrainingRecord:
    """Train an ESNet in a Ray worker and save it as a bundle there.

    Ray must be connected (see `esnet.ray.session.ray_session`). It reserves one core, and one GPU if there is one.

    Parameters
    ----------
    bundle_path
        Directory to create, at a path shared by all Ray nodes.
    dos, compositions, targets, ids, settings, representation, source
        As in `esnet.training.train.train`.
    initial
        A bundle of one or more networks to continue from, at a path shared by all Ray nodes. If None, start from random
        weights.
    materials, kinds, earlier
        As in `esnet.training.fine_tuning.fine_tune`; only with ``initial``.
    name
        Name of the worker in Ray's dashboard, e.g. ``alloys/train``; metrics are tagged with the part before the first
        ``/``.
    progress
        Called in this process for each finished epoch, polled about once a second.

    Returns
    -------
    TrainingRecord
        As stored in the bundle; for an ensemble, that of its first member.

    Raises
    ------
    FileExistsError
        If ``bundle_path`` already exists; nothing is trained then.
    FeatureError, TrainingError
        As in `esnet.training.train.train`.
    BundleError, RepresentationError
        If training cannot continue from ``initial``.
    RaySessionError
        If no node has the cores or GPUs.
    """
    import ray

    path = Path(bundle_path).resolve()
    refuse_existing(path)
    options = worker_options(cpu_threads=1, num_gpus=gpus_of_a_worker())
    # names of actors must be unique, and the same step may run twice
    named = {"name": f"{name} ({uuid.uuid4().hex[:6]})"}
    trainer = ray.remote(**options, **named, max_restarts=0, max_concurrency=2)(_Trainer).remote(name)
    samples = {
        "dos": np.asarray(dos),
        "compositions": np.asarray(compositions),
        "targets": np.asarray(targets),
        "ids": list(ids),
        "source": dict(source or {}),
    }
    further = None
    if initial is not None:
        further = {"initial": str(Path(initial).resolve()), "materials": materials, "kinds": kinds, "earlier": earlier}
    try:
        training = trainer.train.options(name=f"{name}: train").remote(
            str(path), samples, settings, representation, further
        )
        _follow(trainer, training, progress, RayMetrics(name.split("/")[0]))
        ray.get(training)
    except ray.exceptions.RayTaskError as error:
        # Ray's own message contains the worker's whole traceback
        raise error.cause from error
    except ray.exceptions.RayActorError as error:
        raise TrainingError(f"the worker that trained died (killed, or out of memory?): {error}") from error
    finally:
        ray.kill(trainer, no_restart=True)
    return BundleInfo.read(path).record


def _follow(trainer: Any, training: Any, progress: Progress | None, metrics: RayMetrics) -> None:
    """Pass on finished epochs until the training has finished."""
    import ray

    seen = 0
    running = True
    while running:
        ended, _ = ray.wait([training], timeout=_POLL_S)
        running = not ended
        epochs = ray.get(trainer.epochs.remote(seen))
        seen += len(epochs)
        for epoch, losses in epochs:
            if progress is not None:
                progress(epoch, losses)
        if epochs:
            _report_epoch(metrics, *epochs[-1])


def _report_epoch(metrics: RayMetrics, epoch: int, losses: Mapping[str, float]) -> None:
    metrics.set(EPOCH, epoch)
    for metric, key in ((LOSS, "loss"), (VALIDATION_MAE, "val_mae")):
        if key in losses:  # there may be no validation part
            metrics.set(metric, losses[key])
