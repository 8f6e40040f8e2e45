"""Training in a Ray worker, so that the calling process never imports TensorFlow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from esnet.bundle import BundleInfo, refuse_existing
from esnet.features import Representation
from esnet.ray_workers import worker_options
from esnet.record import TrainingRecord
from esnet.training import Progress, TrainingError, TrainingSettings, train

_POLL_S = 1.0


class _Trainer:
    """Runs inside a Ray actor with two threads: one trains, one answers how far it is."""

    def __init__(self) -> None:
        self._epochs: list[tuple[int, dict[str, float]]] = []

    def train(
        self,
        bundle_path: str,
        samples: Mapping[str, Any],
        settings: TrainingSettings,
        representation: Representation,
    ) -> None:
        result = train(
            **samples,
            settings=settings,
            representation=representation,
            progress=lambda epoch, losses: self._epochs.append((epoch, dict(losses))),
        )
        result.save(bundle_path)

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
    cpu_threads: int = 1,
    num_gpus: float = 0.0,
    progress: Progress | None = None,
) -> TrainingRecord:
    """Train an ESNet in a Ray worker and save it as a bundle there.

    Ray must be connected (see `esnet.ray_session.ray_session`).

    Parameters
    ----------
    bundle_path
        The directory to make, at a path that all of Ray's nodes see.
    dos, compositions, targets, ids, settings, representation, source
        As in `esnet.training.train`.
    cpu_threads, num_gpus
        What Ray reserves for the worker.
    progress
        Called in this process, about once a second, with each epoch that has ended since.

    Returns
    -------
    TrainingRecord
        As it stands in the bundle.

    Raises
    ------
    FileExistsError
        If ``bundle_path`` is there already; nothing is trained then.
    FeatureError, TrainingError
        As in `esnet.training.train`.
    RaySessionError
        If no node has the cores or GPUs.
    """
    import ray

    path = Path(bundle_path).resolve()
    refuse_existing(path)
    options = worker_options(cpu_threads=cpu_threads, num_gpus=num_gpus)
    trainer = ray.remote(**options, max_restarts=0, max_concurrency=2)(_Trainer).remote()
    samples = {
        "dos": np.asarray(dos),
        "compositions": np.asarray(compositions),
        "targets": np.asarray(targets),
        "ids": list(ids),
        "source": dict(source or {}),
    }
    try:
        training = trainer.train.remote(str(path), samples, settings, representation)
        _follow(trainer, training, progress)
        ray.get(training)
    except ray.exceptions.RayTaskError as error:
        # Ray's own message is the worker's whole traceback
        raise error.cause from error
    except ray.exceptions.RayActorError as error:
        raise TrainingError(f"the worker that trained died (killed, or out of memory?): {error}") from error
    finally:
        ray.kill(trainer, no_restart=True)
    return BundleInfo.read(path).record


def _follow(trainer: Any, training: Any, progress: Progress | None) -> None:
    """Pass on the epochs that have ended, until training has."""
    import ray

    seen = 0
    running = True
    while running:
        ended, _ = ray.wait([training], timeout=_POLL_S)
        running = not ended
        if progress is None:
            continue
        epochs = ray.get(trainer.epochs.remote(seen))
        seen += len(epochs)
        for epoch, losses in epochs:
            progress(epoch, losses)
