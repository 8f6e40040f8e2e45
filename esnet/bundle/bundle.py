"""A trained model on disk, one network or an ensemble, ready to predict (files: `esnet.bundle.files`)."""

from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from esnet.bundle.assessor import Assessment, UncertaintyEstimator, without_assessor
from esnet.bundle.files import MODEL, BundleError, BundleExistsError, add_model_card, new_bundle, refuse_existing
from esnet.bundle.info import BundleInfo, write_info
from esnet.bundle.networks import Networks, Outputs, ScaledFeatures
from esnet.bundle.record import TrainingRecord
from esnet.representation.features import Representation
from esnet.representation.scaling import ChannelScaler, TargetScaling

__all__ = [
    "Assessment",
    "Bundle",
    "BundleError",
    "BundleExistsError",
    "BundleInfo",
    "add_model_card",
    "refuse_existing",
    "save_bundle",
]


class Bundle:
    """A trained model, ready to predict; made by `open_bundle`.

    Attributes
    ----------
    info
        Description of the bundle, readable without Keras: ``path``, ``checksum``, ``members``, ``representation``,
        ``card`` (its model card) and ``records`` (the training record of each member).
    networks
        One network, or the members of an ensemble.
    assessor
        Provides uncertainties and novelty; None if the bundle gives energies only.

    Examples
    --------
    >>> import esnet
    >>> bundle = esnet.open_bundle("gpaw-fast-binary")
    >>> len(bundle.info.members), bundle.record.data_source["engine"]
    (5, 'gpaw')
    """

    def __init__(self, info: BundleInfo, networks: Networks, assessor: UncertaintyEstimator | None = None) -> None:
        self.info = info
        self.networks = networks
        self.assessor = assessor

    @property
    def checksum(self) -> str:
        """SHA-256 of the whole bundle except its model card: the model's identity."""
        return self.info.checksum

    @property
    def representation(self) -> Representation:
        """Representation of the features that the model reads."""
        return self.info.representation

    @property
    def record(self) -> TrainingRecord:
        """Record of the training run; for an ensemble, that of its first member."""
        return self.info.record

    @classmethod
    def load(
        cls, path: Path | str, *, representation: Representation | None = None, residual: bool | str = False
    ) -> Self:
        """Read a bundle in Keras' safe mode, which executes nothing from it.

        Parameters
        ----------
        path
            Folder of the bundle.
        representation
            Representation of the features to predict from. If None, that of the bundle.
        residual
            Whether to accept a model of a potential's residuals, whose energies are not formation energies; or the name
            of the only potential to accept.

        Returns
        -------
        Bundle
            The bundle, ready to predict.

        Raises
        ------
        BundleError
            If a file is missing, altered, of another format version, or cannot be read by the installed Keras, or if
            it is a model of a potential's residuals and ``residual`` is False.
        RepresentationError
            If ``representation`` is given and differs from the model's.

        Examples
        --------
        >>> import esnet
        >>> esnet.Bundle.load("no-such-folder")
        Traceback (most recent call last):
        esnet.bundle.files.BundleError: ...
        """
        info = BundleInfo.read(path, representation=representation, residual=residual)
        assessor = None if info.assessment is None else UncertaintyEstimator.read(info.path)
        return cls(info, Networks.load(info), assessor)

    def predict(self, dos: ArrayLike, compositions: ArrayLike, *, batch_size: int = 256) -> NDArray[np.float64]:
        """Predict formation energies.

        Parameters
        ----------
        dos
            Unscaled densities in the bundle's `representation`, shape (n, 2, 1500, 9).
        compositions
            Composition vectors, shape (n, 111).
        batch_size
            Number of candidates processed together.

        Returns
        -------
        ndarray
            Formation energies of the relaxed crystals, eV/atom, shape (n,); for an ensemble, the mean of its members.

        Raises
        ------
        FeatureError
            If a shape is wrong or a value is not finite.

        Examples
        --------
        >>> import esnet
        >>> bundle = esnet.open_bundle("gpaw-fast-binary")

        From arrays, here of one file:

        >>> from esnet.representation.composition import composition_vector
        >>> dos = esnet.read_dos("vasprun.xml")
        >>> bundle.predict(dos.channels[None], composition_vector(dos.composition)[None]).shape
        (1,)

        From a data set:

        >>> samples = esnet.Dataset.open("dataset").samples([0, 1])
        >>> bundle.predict(samples.dos, samples.compositions).shape
        (2,)
        """
        energies: NDArray[np.float64] = self.networks.run(dos, compositions, batch_size=batch_size).energies.mean(
            axis=0
        )
        return energies

    def assess(self, dos: ArrayLike, compositions: ArrayLike, *, batch_size: int = 256) -> Assessment:
        """Predict formation energies with their uncertainty and novelty.

        The energies are those of `predict`, bit for bit.

        Parameters
        ----------
        dos
            Unscaled densities in the bundle's `representation`, shape (n, 2, 1500, 9).
        compositions
            Composition vectors, shape (n, 111).
        batch_size
            Number of candidates processed together.

        Returns
        -------
        Assessment
            Energies, uncertainties and novelty; NaN (and no flags) where the bundle gives none. Uncertainty and novelty
            are added to a bundle by `esnet.training.ensemble.assemble_bundle`.

        Raises
        ------
        FeatureError
            If a shape is wrong or a value is not finite.

        Examples
        --------
        >>> import esnet
        >>> bundle = esnet.open_bundle("gpaw-fast-binary")
        >>> samples = esnet.Dataset.open("dataset").samples([0, 1])
        >>> said = bundle.assess(samples.dos, samples.compositions)
        >>> said.e_form.shape, said.uncertainty.shape, said.novel.tolist()
        ((2,), (2,), [False, False])
        """
        outputs = self.networks.run(dos, compositions, batch_size=batch_size)
        return self._assessment(outputs, np.asarray(compositions))

    def assess_scaled(self, features: ScaledFeatures, *, batch_size: int = 256) -> Assessment:
        """Predict as `assess` does, from features that are already scaled.

        Parameters
        ----------
        features
            Features of n materials from ``networks.scale(dos, compositions)``.
        batch_size
            Number of candidates processed together.

        Returns
        -------
        Assessment
            As from `assess`: energies in eV/atom, shape (n,).

        Raises
        ------
        ValueError
            If the features do not fit the networks.

        Examples
        --------
        >>> import esnet
        >>> bundle = esnet.open_bundle("gpaw-fast-binary")
        >>> samples = esnet.Dataset.open("dataset").samples([0])
        >>> scaled = bundle.networks.scale(samples.dos, samples.compositions)
        >>> bundle.assess_scaled(scaled).e_form.shape
        (1,)
        """
        outputs = self.networks.run_scaled(features, batch_size=batch_size)
        return self._assessment(outputs, features.compositions)

    def _assessment(self, outputs: Outputs, compositions: NDArray[np.floating]) -> Assessment:
        if self.assessor is None or not outputs.energies.shape[1]:
            return without_assessor(outputs)
        return self.assessor.assess(outputs, compositions)


def save_bundle(
    path: Path | str,
    *,
    model: Any,
    scaler: ChannelScaler,
    target_scaling: TargetScaling,
    representation: Representation,
    record: TrainingRecord,
) -> Bundle:
    """Write a bundle of one network, as returned by `esnet.training.train.train`.

    Parameters
    ----------
    path
        Directory to create. The files are first written to a temporary directory next to it, which is then renamed, so
        an interrupted call leaves no incomplete bundle.
    model, scaler, target_scaling, representation, record
        The network, its scalings, the representation of its features and the record of its training.

    Returns
    -------
    Bundle
        The written bundle, read back, so that predictions come from the files on disk. (The network in memory may
        differ in the last bits, since TensorFlow orders the operations of its graph differently.)

    Raises
    ------
    BundleExistsError
        If ``path`` exists: a bundle is never overwritten.
    """
    with new_bundle(path) as folder:
        model.save(folder / MODEL)
        write_info(
            folder, representation=representation, scaler=scaler, target_scaling=target_scaling, records=[record]
        )
    return Bundle.load(path, residual=True)
