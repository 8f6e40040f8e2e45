"""A network trained on synthetic densities of states, and its bare speed, for the benchmarks of Screens."""

import json
import time
from typing import Any

import numpy as np

#: Number of distinct synthetic densities of states.
DIFFERENT = 512
BATCH = 256


def train_one(path: str, widths: tuple[int, int, int, int]) -> None:
    """Train a network with these widths for one epoch, save it as a bundle, and print its path as JSON."""
    from esnet.representation.composition import composition_vector
    from esnet.representation.features import Representation
    from esnet.training.train import TrainingSettings, train

    samples = synthetic(64)
    result = train(
        np.stack([sample.dos for sample in samples]),
        np.stack([composition_vector(sample.composition) for sample in samples]),
        [sample.energy for sample in samples],
        settings=TrainingSettings(widths=widths, max_epochs=1, validation_fraction=0.0),
        representation=Representation(),
        ids=[sample.id for sample in samples],
    )
    result.save(path)
    print(json.dumps({"bundle": path}))


def synthetic(number: int) -> list[Any]:
    """Return the given number of synthetic IS-DOS samples."""
    from esnet.dataset.synthetic import synthetic_samples

    return list(synthetic_samples(number, seed=3, kinds=("is_dos",)))


def load(bundle: str) -> tuple[Any, list[dict[str, Any]]]:
    """Return the unfolded network of a bundle, and batches in memory."""
    from esnet.bundle.bundle import BundleInfo
    from esnet.bundle.members import load_network
    from esnet.representation.composition import composition_vector
    from esnet.representation.features import network_inputs

    info = BundleInfo.read(bundle)
    samples = synthetic(DIFFERENT)
    inputs = network_inputs(
        np.stack([sample.dos for sample in samples]),
        np.stack([composition_vector(sample.composition) for sample in samples]),
        scaler=info.scaler,
    )
    parts = [
        {name: array[start : start + BATCH] for name, array in inputs.items()} for start in range(0, DIFFERENT, BATCH)
    ]
    return load_network(info.path / info.members[0], info), parts


def bare(bundle: str, number: int) -> None:
    """Print the structures per second of predict_on_batch on arrays in memory, as JSON."""
    model, parts = load(bundle)
    model.predict_on_batch(parts[0])
    started, done = time.perf_counter(), 0
    while done < number:
        done += len(np.asarray(model.predict_on_batch(parts[done // BATCH % len(parts)])))
    print(json.dumps({"per_s": done / (time.perf_counter() - started), "structures": done}))


def folding(bundle: str) -> None:
    """Print the speed-up of a batch by folding the normalisations, as JSON: median over alternating turns."""
    from esnet.network.folded_network import inference_network

    model, parts = load(bundle)
    networks = (model, inference_network(model))
    ratios = []
    for turn in range(13):
        seconds = []
        for network in networks:
            began = time.perf_counter()
            for part in parts:
                network.predict_on_batch(part)
            seconds.append(time.perf_counter() - began)
        if turn:  # the graphs are built in the first turn
            ratios.append(seconds[0] / seconds[1])
    print(json.dumps({"ratio": float(np.median(ratios))}))
