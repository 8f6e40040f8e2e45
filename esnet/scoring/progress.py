"""How far a Screen is, for Ray's metrics."""

import time

from esnet.ray.metrics import QUEUE, SCORED, SPEED, RayMetrics


class Progress:
    """Tells Ray's metrics how far a Screen is."""

    def __init__(self, metrics: RayMetrics, n_wanted: int) -> None:
        self._metrics, self._left, self._scored = metrics, n_wanted, 0
        # from when the first actor is ready: loading TensorFlow says nothing of the speed
        self._began: float | None = None
        metrics.set(QUEUE, n_wanted)

    def tell(self, n_scored: int) -> None:
        """Say that this many more candidates are scored; 0: an actor has started, or was lost."""
        now = time.monotonic()
        self._began = self._began or now
        self._left -= n_scored
        self._scored += n_scored
        if n_scored:
            self._metrics.add(SCORED, n_scored)
            self._metrics.set(QUEUE, self._left)
            self._metrics.set(SPEED, self._scored / max(now - self._began, 1e-3))

    def end(self) -> None:
        """Say that nothing waits any more."""
        self._metrics.set(QUEUE, 0)
        self._metrics.set(SPEED, 0.0)
