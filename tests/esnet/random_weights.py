"""Weights as after a training."""

from typing import Any

import numpy as np


def randomise(model: Any, rng: np.random.Generator) -> None:
    """Give a network weights as after a training: no normalisation is left at its start."""
    for layer in model.layers:
        for weight in layer.weights:
            if weight.name in {"gamma", "moving_variance"}:
                weight.assign(rng.uniform(0.3, 2.0, weight.shape))
            elif weight.name in {"beta", "moving_mean", "bias"}:
                weight.assign(rng.normal(0.0, 0.5, weight.shape))
