"""Progress of a Screen, for Ray's metrics."""

import time

from esnet.ray.metrics import QUEUE, SCORED, SPEED, RayMetrics


class Progress:
    """Reports the progress of a Screen to Ray's metrics."""

    def __init__(self, metrics: RayMetrics, n_wanted: int) -> None:
        self._metrics, self._left, self._scored = metrics, n_wanted, 0
        # measured from the first ready actor, so that loading TensorFlow does not count towards the speed
        self._began: float | None = None
        metrics.set(QUEUE, n_wanted)

    def tell(self, n_scored: int) -> None:
        """Report that this many more candidates were scored; 0 if an actor has started or was lost."""
        now = time.monotonic()
        self._began = self._began or now
        self._left -= n_scored
        self._scored += n_scored
        if n_scored:
            self._metrics.add(SCORED, n_scored)
            self._metrics.set(QUEUE, self._left)
            self._metrics.set(SPEED, self._scored / max(now - self._began, 1e-3))

    def end(self) -> None:
        """Report that nothing is waiting any more."""
        self._metrics.set(QUEUE, 0)
        self._metrics.set(SPEED, 0.0)
