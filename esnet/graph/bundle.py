"""A trained graph model: its predictions, and its folder on disk."""

import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from tokenize import TokenError
from typing import Any, Self
from zipfile import ZIP_STORED, BadZipFile, ZipFile, ZipInfo

import numpy as np
from numpy.typing import NDArray

from esnet.bundle.uncertainty import fit_calibration
from esnet.files.atomic import file_entry, whole_folder
from esnet.files.output_folder import refuse_existing_output
from esnet.files.versions import installed_versions
from esnet.graph.build import GraphModel, best_device, build_model, n_parameters
from esnet.graph.cgcnn_hd import CgcnnHd
from esnet.graph.crystals import Material, UnusableCrystalError, checked_composition, elements_of
from esnet.graph.info import MANIFEST, WEIGHTS, GraphBundleError, GraphBundleInfo, with_identity
from esnet.graph.kinds import GraphKind, GraphTraining
from esnet.graph.training import Examples, Progress, in_parts, outputs, train

_PACKAGES = ("esnet-campaign", "numpy", "torch", "aviary-models", "matgl", "torch-geometric", "pymatgen-core", "spglib")

_UNREADABLE = (
    BadZipFile, EOFError, KeyError, MemoryError, OSError, RuntimeError, SyntaxError, TokenError, TypeError, ValueError
)  # fmt: skip
"""Exceptions that zipfile, NumPy and torch raise for a damaged file of weights."""
_HEADER_BYTES = 1024
"""Upper limit of the header that NumPy writes before an array, bytes."""


@dataclass(frozen=True, kw_only=True)
class GraphPrediction:
    """Prediction of a graph model for one material.

    Attributes
    ----------
    e_form
        Formation energy of the relaxed crystal, eV/atom; None if there is no prediction.
    deviation
        Standard deviation over the passes of CGCNN-HD with dropout, eV/atom; None for other kinds.
    uncertainty
        Standard deviation calibrated on the validation part, eV/atom; None if that part was too small.
    reason
        Why there is no prediction.
    """

    e_form: float | None
    deviation: float | None = None
    uncertainty: float | None = None
    reason: str | None = None


class TrainedGraphModel:
    """A trained graph model, made by `fit` or `load`.

    Attributes
    ----------
    model
        The network and the conversion of its input.
    info
        Description of the model.
    """

    def __init__(self, model: GraphModel, info: GraphBundleInfo) -> None:
        self.model, self.info = model, info

    @classmethod
    def load(cls, path: Path | str) -> Self:
        """Load a trained model.

        Raises
        ------
        GraphBundleError
            If a file is missing or was altered.
        MissingExtraError
            If a package that the model needs is not installed.
        """
        info = GraphBundleInfo.read(path)
        model = build_model(info.kind)
        _set_weights(model, info.path / WEIGHTS)
        model.network.to(best_device()).eval()
        return cls(model, info)

    def save(self, path: Path | str) -> Self:
        """Write the model atomically to a new folder, and return the model read back from it.

        Raises
        ------
        OutputExistsError
            If ``path`` exists.
        """
        folder = Path(path)
        with whole_folder(folder, refuse_existing=refuse_existing_output) as temporary:
            weights = {name: value.cpu().numpy() for name, value in self.model.network.state_dict().items()}
            with (temporary / WEIGHTS).open("wb") as stream:
                np.savez(stream, allow_pickle=False, **weights)
            manifest = self.info.to_dict() | {
                "created": datetime.now(UTC).isoformat(timespec="seconds"),
                "files": {WEIGHTS: file_entry(temporary / WEIGHTS)},
            }
            text = json.dumps(with_identity(manifest), indent=1, allow_nan=False) + "\n"
            (temporary / MANIFEST).write_text(text, encoding="utf-8")
        return type(self)(self.model, GraphBundleInfo.read(folder))

    def predict(self, materials: Sequence[Material | None], *, any_element: bool = False) -> list[GraphPrediction]:
        """Return the predicted formation energy of each crystal or composition.

        Parameters
        ----------
        materials
            Crystals or compositions.
        any_element
            Whether to predict also for elements that are absent from the training samples. Such results show how the
            model generalises, and must not be used for decisions.
        """
        items, said = self._items(materials, self.info.elements if not any_element else None)
        for place, prediction in zip(items, self.predict_items(list(items.values())), strict=True):
            said[place] = prediction
        return [said[place] for place in range(len(materials))]

    def predict_items(self, items: Sequence[Any]) -> Iterator[GraphPrediction]:
        """Yield predictions for items of the model (`GraphModel.item`)."""
        for part in in_parts(items):
            energies, deviations = self._energies(part)
            uncertainties = self._uncertainties(energies, deviations)
            for place, energy in enumerate(energies):
                if not np.isfinite(energy):
                    yield GraphPrediction(e_form=None, reason="the network gave no finite energy")
                    continue
                yield GraphPrediction(
                    e_form=float(energy),
                    deviation=None if deviations is None else float(deviations[place]),
                    uncertainty=None if uncertainties is None else float(uncertainties[place]),
                )

    def _items(
        self, materials: Sequence[Material | None], known: Collection[str] | None
    ) -> tuple[dict[int, Any], dict[int, GraphPrediction]]:
        items: dict[int, Any] = {}
        refused: dict[int, GraphPrediction] = {}
        for place, material in enumerate(materials):
            try:
                symbols = {str(element) for element in checked_composition(material)}
                if unknown := [] if known is None else sorted(symbols - set(known)):
                    raise UnusableCrystalError(f"it was not trained on {', '.join(unknown)}")
                items[place] = self.model.item(material)
            except UnusableCrystalError as error:
                refused[place] = GraphPrediction(e_form=None, reason=f"{self.info.kind.title}: {error}")
        return items, refused

    def _energies(self, items: Sequence[Any]) -> tuple[NDArray[np.float64], NDArray[np.float64] | None]:
        """Return energies and, for CGCNN-HD, standard deviations in eV/atom."""
        scaling = self.info.target_scaling
        if not isinstance(self.model, CgcnnHd):
            return scaling.restore(outputs(self.model, items)), None
        self.model.network.eval()
        device = str(next(self.model.network.parameters()).device)
        passes = self.model.passes(self.model.batch(items, device), seed=self.info.dropout_seed)
        return scaling.restore(passes.mean(axis=0)), passes.std(axis=0, ddof=1) * scaling.deviation

    def _uncertainties(
        self, energies: NDArray[np.float64], deviations: NDArray[np.float64] | None
    ) -> NDArray[np.float64] | None:
        if self.info.calibration is None:
            return None
        return self.info.calibration.std(np.zeros(len(energies)) if deviations is None else deviations**2)


def fit(
    kind: GraphKind,
    training: tuple[Iterable[Material | None], NDArray[np.float64]],
    validation: tuple[Iterable[Material | None], NDArray[np.float64]],
    *,
    settings: GraphTraining | None = None,
    data_source: Mapping[str, Any] | None = None,
    about: Mapping[str, Any] | None = None,
    progress: Progress | None = None,
) -> TrainedGraphModel:
    """Train a graph model on crystals (or compositions) and formation energies in eV/atom.

    Parameters
    ----------
    kind
        Kind of model.
    training, validation
        Materials and energies; materials that the model cannot treat are left out, and counted in its record.
    settings
        Settings of the training. If None, those of the model's authors.
    data_source
        Origin of the samples, as stated by their data set.
    about
        Further information on the training, in JSON types.
    progress
        Called after each epoch.

    Returns
    -------
    TrainedGraphModel
        The trained model, in memory.

    Raises
    ------
    GraphModelError
        If too few samples are left, or the training fails.
    MissingExtraError
        If a package is not installed.
    """
    settings = settings or kind.training
    model = build_model(kind, seed=settings.seed)
    parts, elements, reasons = {}, set[str](), []
    for name, (materials, energies) in (("training", training), ("validation", validation)):
        items, kept = [], []
        for place, material in enumerate(materials):
            try:
                items.append(model.item(material))
            except UnusableCrystalError as error:
                reasons.append(str(error))
                continue
            kept.append(place)
            if name == "training" and material is not None:
                elements |= elements_of(material)
        parts[name] = Examples(items, np.asarray(energies, dtype=np.float64)[kept])
    fitted = train(model, parts["training"], parts["validation"], settings=settings, progress=progress)
    info = GraphBundleInfo(
        path=Path(),
        checksum="",
        kind=kind,
        n_parameters=n_parameters(model),
        elements=tuple(sorted(elements)),
        target_scaling=fitted.target_scaling,
        calibration=None,
        dropout_seed=settings.seed,
        training={
            **(about or {}),
            "settings": settings.to_dict() | {"batch_size": fitted.batch_size},
            "n_train": len(parts["training"].items),
            "n_validation": len(parts["validation"].items),
            "n_left_out": len(reasons),
            "left_out": sorted(set(reasons))[:20],
            "epochs": fitted.epochs,
            "best_epoch": fitted.best_epoch,
            "mae_validation": fitted.mae_validation,
            "versions": installed_versions(*_PACKAGES),
        },
        data_source=dict(data_source or {}),
    )
    return _calibrated(TrainedGraphModel(model, info), parts["validation"])


def _calibrated(trained: TrainedGraphModel, validation: Examples) -> TrainedGraphModel:
    """Calibrate the standard deviations of predictions on data not used for training."""
    energies, deviations = [np.empty(0)], [np.empty(0)]
    for part in in_parts(validation.items):
        found, spread = trained._energies(part)
        energies.append(found)
        deviations.append(np.zeros(len(found)) if spread is None else spread)
    residuals = np.concatenate(energies) - validation.energies
    spread = np.concatenate(deviations)
    uses_spread = isinstance(trained.model, CgcnnHd)
    calibration = fit_calibration(residuals, spread**2, kind="spread" if uses_spread else "constant")
    training = dict(trained.info.training) | {"mae_validation": float(np.abs(residuals).mean())}
    return TrainedGraphModel(trained.model, replace(trained.info, calibration=calibration, training=training))


def _set_weights(model: GraphModel, file: Path) -> None:
    import torch

    try:
        with ZipFile(file) as archive:
            _check_members(archive.infolist(), {name: of.nbytes for name, of in model.network.state_dict().items()})
        with np.load(file, allow_pickle=False) as stored:
            weights = {name: torch.from_numpy(stored[name]) for name in stored.files}
        model.network.load_state_dict(weights)
    except _UNREADABLE as error:
        raise GraphBundleError(f"{file} cannot be used: {error}") from error


def _check_members(found: Sequence[ZipInfo], sizes: Mapping[str, int]) -> None:
    """Raise ValueError, before reading any weights, unless an archive contains exactly the weights of a network.

    NumPy would inflate any member and create an array of whatever size its header claims.
    """
    names, expected = {member.filename for member in found}, {f"{name}.npy" for name in sizes}
    if len(found) != len(expected) or names != expected:
        odd = ", ".join(sorted(names ^ expected)[:3]) or "one of them twice"
        raise ValueError(f"it holds {len(found)} arrays, must be the {len(expected)} of the network ({odd})")
    if deflated := sorted(member.filename for member in found if member.compress_type != ZIP_STORED):
        raise ValueError(f"{deflated[0]} is compressed, must be stored as it is")
    n_bytes, limit = sum(member.file_size for member in found), sum(sizes.values()) + _HEADER_BYTES * len(found)
    if n_bytes > limit:
        raise ValueError(f"its arrays have {n_bytes} bytes, must be at most {limit}")
