"""Training of a graph model with seeded batches and early stopping on a validation part."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from esnet.graph.build import GraphModel, best_device, seeded
from esnet.graph.kinds import FEWEST_STEPS, SMALLEST_BATCH, GraphModelError, GraphTraining
from esnet.representation.scaling import TargetScaling

Progress = Callable[[int, Mapping[str, float]], None]
"""Called after each epoch with its number (from 1) and ``val_mae`` (eV/atom); StopIteration ends the training."""

_PREDICTED_AT_ONCE = 256


@dataclass(frozen=True)
class Examples:
    """Items of one model (`GraphModel.item`) and their formation energies in eV/atom."""

    items: Sequence[Any]
    energies: NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Fitted:
    """Outcome of a training.

    Attributes
    ----------
    target_scaling
        Mean and standard deviation of the energies of the training part, eV/atom.
    epochs, best_epoch
        Number of epochs run, and the epoch (from 1) whose weights were kept.
    batch_size
        Batch size used.
    mae_validation
        Mean absolute error on the validation part with the kept weights, eV/atom.
    """

    target_scaling: TargetScaling
    epochs: int
    best_epoch: int
    batch_size: int
    mae_validation: float


def train(
    model: GraphModel,
    training: Examples,
    validation: Examples,
    *,
    settings: GraphTraining,
    progress: Progress | None = None,
) -> Fitted:
    """Train a model in place and restore the weights with the lowest validation error.

    On a CPU, the same model, examples and settings give the same weights, independent of torch's random state.

    Raises
    ------
    GraphModelError
        If a part is too small, or the loss is not finite.
    """
    import torch
    from torch.optim import Adam, AdamW

    if len(training.items) < 2 or not len(validation.items):
        raise GraphModelError(
            f"{len(training.items)} training and {len(validation.items)} validation samples; at least 2 and 1 are "
            "needed"
        )
    device, network = best_device(), model.network
    network.to(device)
    scaling = TargetScaling.fit(training.energies)
    targets = torch.from_numpy(scaling.standardise(training.energies)).to(device)
    optimiser = (AdamW if settings.optimiser == "adamw" else Adam)(
        [each for each in network.parameters() if each.requires_grad],
        lr=settings.learning_rate,
        weight_decay=settings.weight_decay,
    )
    schedule = torch.optim.lr_scheduler.ExponentialLR(optimiser, gamma=settings.decay)
    loss_of = torch.nn.functional.mse_loss if settings.loss == "mse" else torch.nn.functional.l1_loss
    batch_size = batch_size_for(len(training.items), settings)
    order, best, best_epoch, epoch = np.random.default_rng(settings.seed), np.inf, 0, 0
    kept = _copy(network)
    with seeded(settings.seed), _threads(settings.threads):
        while epoch < settings.epochs and epoch - best_epoch < settings.patience:
            epoch += 1
            network.train()
            for places in _batches(order.permutation(len(training.items)), batch_size):
                batch = model.batch([training.items[place] for place in places], device)
                loss = loss_of(model.forward(batch), targets[torch.from_numpy(places).to(device)])
                if not torch.isfinite(loss):
                    raise GraphModelError(
                        f"the loss was not finite in epoch {epoch}: lower learning_rate={settings.learning_rate}"
                    )
                optimiser.zero_grad()
                loss.backward()
                optimiser.step()
            schedule.step()
            found = scaling.restore(outputs(model, validation.items))
            mae = float(np.abs(found - validation.energies).mean())
            if mae < best:
                best, best_epoch, kept = mae, epoch, _copy(network)
            try:
                if progress is not None:
                    progress(epoch, {"val_mae": mae})
            except StopIteration:
                break
    if not np.isfinite(best):
        raise GraphModelError("no energy of the validation part was finite: lower the learning rate")
    network.load_state_dict(kept)
    network.eval()
    return Fitted(
        target_scaling=scaling, epochs=epoch, best_epoch=best_epoch, batch_size=batch_size, mae_validation=best
    )


def batch_size_for(n_samples: int, settings: GraphTraining) -> int:
    """Return the batch size of the settings, reduced so that an epoch of a small training part has several steps."""
    return min(settings.batch_size, max(SMALLEST_BATCH, n_samples // FEWEST_STEPS))


def outputs(model: GraphModel, items: Sequence[Any]) -> NDArray[np.float64]:
    """Return standardised energies without dropout, shape (n,)."""
    import torch

    model.network.eval()
    device = str(next(model.network.parameters()).device)
    parts = [np.empty(0)]
    with torch.no_grad():
        for part in in_parts(items):
            parts.append(model.forward(model.batch(part, device)).cpu().double().numpy())
    return np.concatenate(parts)


def in_parts(items: Sequence[Any]) -> Iterator[Sequence[Any]]:
    """Yield the items in batches for prediction."""
    for start in range(0, len(items), _PREDICTED_AT_ONCE):
        yield items[start : start + _PREDICTED_AT_ONCE]


def _batches(order: NDArray[np.intp], size: int) -> Iterator[NDArray[np.intp]]:
    """Yield batches of samples; a last single sample joins the previous batch, since batch normalisation needs two."""
    ends = [*range(size, len(order), size), len(order)]
    if len(ends) > 1 and ends[-1] - ends[-2] == 1:
        del ends[-2]
    for start, end in zip([0, *ends], ends, strict=False):
        yield order[start:end]


def _copy(network: Any) -> dict[str, Any]:
    return {name: value.detach().clone() for name, value in network.state_dict().items()}


@contextmanager
def _threads(number: int | None) -> Iterator[None]:
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(number or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)
