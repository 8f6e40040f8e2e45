"""Training in a Ray worker, so that the calling process never imports TensorFlow."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from esnet.bundle import BundleInfo, refuse_existing
from esnet.features import Representation
from esnet.fine_tuning import fine_tune
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
        further: Mapping[str, Any] | None,
    ) -> None:
        options: dict[str, Any] = {
            **samples,
            "settings": settings,
            "representation": representation,
            "progress": lambda epoch, losses: self._epochs.append((epoch, dict(losses))),
        }
        if further is None:
            train(**options).save(bundle_path)
        else:
            fine_tune(bundle_path, **further, **options)

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
    initial
        A bundle to go on from, of one network or more, at a path that all of Ray's nodes see; None: from the start.
    materials, kinds, earlier
        As in `esnet.fine_tuning.fine_tune`; only with ``initial``.
    cpu_threads, num_gpus
        What Ray reserves for the worker.
    progress
        Called in this process, about once a second, with each epoch that has ended since.

    Returns
    -------
    TrainingRecord
        As it stands in the bundle; of an ensemble, that of its first member.

    Raises
    ------
    FileExistsError
        If ``bundle_path`` is there already; nothing is trained then.
    FeatureError, TrainingError
        As in `esnet.training.train`.
    BundleError, RepresentationError
        If ``initial`` cannot be gone on from.
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
    further = None
    if initial is not None:
        further = {"initial": str(Path(initial).resolve()), "materials": materials, "kinds": kinds, "earlier": earlier}
    try:
        training = trainer.train.remote(str(path), samples, settings, representation, further)
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
