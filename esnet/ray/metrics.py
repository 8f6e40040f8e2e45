"""Ray metrics of Screens, trainings and tunings, for Prometheus and Grafana (docs/how-to/ray.md).

At Ray's endpoint, names begin with ``ray_``, and those of counters end with ``_total``.
"""

import sys
from dataclasses import dataclass
from typing import Any, Literal


@dataclass(frozen=True)
class Metric:
    """A metric of Ray.

    Attributes
    ----------
    name, description
        Name and description in Ray.
    kind
        ``counter``, which only increases, or ``gauge``, a current value.
    """

    name: str
    kind: Literal["counter", "gauge"]
    description: str


SCORED = Metric("esnet_scored", "counter", "candidates that have been scored")
PROMOTED = Metric("esnet_promoted", "counter", "candidates that a Screen has promoted")
QUEUE = Metric("esnet_scoring_queue", "gauge", "candidates that still wait for their score")
SPEED = Metric("esnet_structures_per_second", "gauge", "structures per second since the first actor was ready")
EPOCH = Metric("esnet_training_epoch", "gauge", "last epoch of a training that has ended")
LOSS = Metric("esnet_training_loss", "gauge", "loss on the training part in that epoch")
VALIDATION_MAE = Metric("esnet_training_validation_mae", "gauge", "mean absolute error on the validation part, eV/atom")
TRIALS = Metric("esnet_tuning_trials", "gauge", "trials of a tuning with this status")

METRICS = (SCORED, PROMOTED, QUEUE, SPEED, EPOCH, LOSS, VALIDATION_MAE, TRIALS)


class RayMetrics:
    """Metrics with the tag ``campaign``: the name of a campaign, or of another training or tuning run.

    Nothing is reported if this process is not connected to Ray.
    """

    def __init__(self, campaign: str) -> None:
        self._campaign = campaign
        self._made: dict[str, Any] = {}

    def add(self, metric: Metric, number: float) -> None:
        """Increase a counter."""
        made = self._find(metric)
        if made is not None and number > 0:
            made.inc(float(number), tags=self._tags(""))

    def set(self, metric: Metric, number: float, *, status: str = "") -> None:
        """Set the current value, for trials per ``status``."""
        made = self._find(metric)
        if made is not None:
            made.set(float(number), tags=self._tags(status))

    def _tags(self, status: str) -> dict[str, str]:
        return {"campaign": self._campaign, "status": status}

    def _find(self, metric: Metric) -> Any:
        # a process that has not imported Ray is not connected to it
        ray = sys.modules.get("ray")
        if ray is None or not ray.is_initialized():
            return None
        if metric.name not in self._made:
            from ray.util.metrics import Counter, Gauge

            kind = Counter if metric.kind == "counter" else Gauge
            self._made[metric.name] = kind(metric.name, metric.description, tag_keys=("campaign", "status"))
        return self._made[metric.name]
