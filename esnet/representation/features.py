"""What the network takes: scaled channels, the composition vector, and how both were made."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, Self, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from esnet.files.errors import UserError
from esnet.representation.dos import DOS_SHAPE, N_GRID, N_ORBITALS, SPINS, EnergyReference, Normalisation, check_options

CompositionMode = Literal["presence", "fraction"]

_PERIODIC_TABLE = """
    H He Li Be B C N O F Ne Na Mg Al Si P S Cl Ar K Ca Sc Ti V Cr Mn Fe Co Ni Cu Zn Ga Ge As Se Br Kr
    Rb Sr Y Zr Nb Mo Tc Ru Rh Pd Ag Cd In Sn Sb Te I Xe Cs Ba La Ce Pr Nd Pm Sm Eu Gd Tb Dy Ho Er Tm Yb Lu
    Hf Ta W Re Os Ir Pt Au Hg Tl Pb Bi Po At Rn Fr Ra Ac Th Pa U Np Pu Am Cm Bk Cf Es Fm Md No Lr
    Rf Db Sg Bh Hs Mt Ds Rg
"""
ELEMENTS = tuple(_PERIODIC_TABLE.split())
"""Places of the composition vector: the elements by atomic number, H to Rg."""
N_ELEMENTS = len(ELEMENTS)

_PLACE = {symbol: place for place, symbol in enumerate(ELEMENTS)}
_BLOCK = 256
#: Samples scaled at once: they stay in a core's cache between the steps.
_IN_CACHE = 4


class FeatureError(UserError, ValueError):
    """Features that the network cannot take; the message names the array or the candidate."""


class RepresentationError(UserError, ValueError):
    """Features were asked for, or given, in another representation than the model's."""


@dataclass(frozen=True, kw_only=True)
class Representation:
    """How features were made; stored with a model, which reads no other features.

    Attributes
    ----------
    normalisation
        What the site sum of the DOS is divided by (see `esnet.representation.dos.project_dos`).
    energy_reference
        ``absolute`` energies, or relative to the ``fermi`` level.
    composition
        ``presence`` (1 where an element is present) or ``fraction`` (atomic fraction).
    """

    normalisation: Normalisation = "atom"
    energy_reference: EnergyReference = "absolute"
    composition: CompositionMode = "presence"

    def __post_init__(self) -> None:
        check_options(normalisation=self.normalisation, energy_reference=self.energy_reference)
        _check_mode(self.composition)

    def to_dict(self) -> dict[str, str]:
        """Return the settings as JSON takes them."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Read what `to_dict` wrote; ValueError names a key that is missing or not known."""
        names = {field.name for field in fields(cls)}
        if set(data) != names:
            raise ValueError(f"representation has the keys {sorted(data)}, must have {sorted(names)}")
        return cls(**data)

    def require(self, other: Representation) -> None:
        """Raise RepresentationError, naming what differs, unless ``other`` is the same."""
        mine, theirs = self.to_dict(), other.to_dict()
        differing = [
            f"{name}: the model has {mine[name]!r}, asked for is {theirs[name]!r}"
            for name in mine
            if mine[name] != theirs[name]
        ]
        if differing:
            raise RepresentationError("another representation than the model's: " + "; ".join(differing))


def composition_vector(composition: Any, *, mode: CompositionMode = "presence") -> NDArray[np.float32]:
    """Return which elements a material has.

    Parameters
    ----------
    composition
        pymatgen ``Composition``, or a mapping from element symbol to amount.
    mode
        ``presence``: 1 where the element is present; ``fraction``: its atomic fraction.

    Returns
    -------
    ndarray
        float32, shape (111,), in the order of `ELEMENTS`.

    Raises
    ------
    FeatureError
        If the composition is empty, an amount is not a positive number, or an element is not among H to Rg.
    """
    _check_mode(mode)
    if not hasattr(composition, "items"):
        raise FeatureError(f"composition is {composition!r}: must be a pymatgen Composition or a mapping of amounts")
    vector = np.zeros(N_ELEMENTS)
    for element, amount in composition.items():
        symbol = str(getattr(element, "symbol", element))
        if symbol not in _PLACE:
            raise FeatureError(f"element {symbol!r} is not one of the {N_ELEMENTS} from H to Rg")
        if not (np.isfinite(amount) and amount > 0):
            raise FeatureError(f"amount of {symbol} is {amount!r}: must be a number above 0")
        vector[_PLACE[symbol]] += amount
    if not vector.any():
        raise FeatureError("composition is empty")
    if mode == "fraction":
        return np.asarray(vector / vector.sum(), dtype=np.float32)
    return np.asarray(vector > 0, dtype=np.float32)


@dataclass(frozen=True)
class ChannelScaler:
    """Standardises each of the 18 channels with the mean and deviation of a training set.

    Attributes
    ----------
    mean, scale
        Tuples of two (spins) times nine (orbitals) numbers. A channel that never varies has scale 1.
    """

    mean: tuple[tuple[float, ...], ...]
    scale: tuple[tuple[float, ...], ...]

    def __post_init__(self) -> None:
        for name, values in (("mean", self.mean), ("scale", self.scale)):
            array = np.asarray(values, dtype=np.float64)
            if array.shape != (len(SPINS), N_ORBITALS) or not np.isfinite(array).all():
                raise FeatureError(f"scaler's {name} must be {len(SPINS)} x {N_ORBITALS} finite numbers")
        if not (np.asarray(self.scale) > 0).all():
            raise FeatureError("scaler's scale must be above 0 everywhere")

    @classmethod
    def fit(cls, dos: NDArray[np.floating]) -> Self:
        """Fit to features of shape (n, 2, 1500, 9)."""
        checked = _checked_dos(dos, None)
        return cls.fit_batches(checked[start : start + _BLOCK] for start in range(0, len(checked), _BLOCK))

    @classmethod
    def fit_batches(cls, batches: Iterable[NDArray[np.floating]]) -> Self:
        """Fit to batches of shape (n, 2, 1500, 9) that need not be in memory together.

        Means and squared deviations of the batches are merged (Chan et al., 1979), which loses no digits to
        the difference of large sums.
        """
        count = 0
        mean = np.zeros((len(SPINS), N_ORBITALS))
        squares = np.zeros((len(SPINS), N_ORBITALS))
        for batch in batches:
            block = _checked_dos(batch, None).astype(np.float64)
            if not len(block):
                continue
            size = block.shape[0] * block.shape[2]
            block_mean = block.mean(axis=(0, 2))
            distance = block_mean - mean
            squares += ((block - block_mean[None, :, None, :]) ** 2).sum(axis=(0, 2))
            squares += distance**2 * count * size / (count + size)
            mean += distance * size / (count + size)
            count += size
        if not count:
            raise FeatureError("the scaler cannot be fitted to no sample")
        deviation = np.sqrt(squares / count)
        # rounding leaves a channel that never varies with a deviation that is tiny but not 0
        varies = deviation > 1e-12 * np.maximum(1.0, np.abs(mean))
        scale = np.where(varies, deviation, 1.0)
        return cls(tuple(map(tuple, mean.tolist())), tuple(map(tuple, scale.tolist())))

    def transform(self, dos: NDArray[np.floating]) -> NDArray[np.float32]:
        """Scale features of shape (n, 2, 1500, 9); returns float32 of the same shape."""
        return self._scaled(_checked_dos(dos, None))

    def _scaled(self, dos: NDArray[np.floating]) -> NDArray[np.float32]:
        # rows of 13,500 numbers: NumPy is slow where an innermost row has nine
        mean, scale = (
            np.tile(np.asarray(values, np.float32), (1, N_GRID))[:, None] for values in (self.mean, self.scale)
        )
        # spins first in memory: each of them is one input of the network, which then needs no copy
        scaled = np.empty((len(SPINS), len(dos), N_GRID * N_ORBITALS), np.float32)
        for start in range(0, len(dos), _IN_CACHE):
            block, part = dos[start : start + _IN_CACHE], scaled[:, start : start + _IN_CACHE]
            rows = block.reshape(len(block), len(SPINS), -1).swapaxes(0, 1)
            np.subtract(rows, mean, out=part, dtype=np.float32, casting="same_kind")
            part /= scale
        return scaled.reshape(len(SPINS), len(dos), N_GRID, N_ORBITALS).swapaxes(0, 1)

    def to_dict(self) -> dict[str, list[list[float]]]:
        """Return mean and scale as JSON takes them, exact to the last bit."""
        return {"mean": [list(row) for row in self.mean], "scale": [list(row) for row in self.scale]}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Read what `to_dict` wrote."""
        if set(data) != {"mean", "scale"}:
            raise FeatureError(f"scaler has the keys {sorted(data)}, must have mean and scale")
        mean, scale = (tuple(tuple(float(value) for value in row) for row in data[key]) for key in ("mean", "scale"))
        return cls(mean, scale)


@dataclass(frozen=True)
class TargetScaling:
    """Mean and deviation (eV/atom) that the formation energies were standardised with for training.

    The network's output times ``deviation`` plus ``mean`` is the formation energy in eV/atom.
    """

    mean: float
    deviation: float

    def __post_init__(self) -> None:
        if not np.isfinite(self.mean) or not np.isfinite(self.deviation) or self.deviation <= 0:
            raise FeatureError(f"target scaling must be finite, with a deviation above 0; found {self}")

    @classmethod
    def fit(cls, energies: NDArray[np.floating]) -> Self:
        """Fit to formation energies in eV/atom; energies that are all the same have deviation 1."""
        deviation = float(np.std(energies))
        return cls(float(np.mean(energies)), deviation if deviation > 1e-9 else 1.0)

    def standardise(self, energies: NDArray[np.floating]) -> NDArray[np.float32]:
        """Formation energies in eV/atom -> what the network is trained on."""
        return ((np.asarray(energies, dtype=np.float64) - self.mean) / self.deviation).astype(np.float32)

    def restore(self, outputs: NDArray[np.floating]) -> NDArray[np.float64]:
        """Return the network's outputs as formation energies in eV/atom."""
        return np.asarray(outputs, dtype=np.float64) * self.deviation + self.mean


def network_inputs(
    dos: ArrayLike, compositions: ArrayLike, *, scaler: ChannelScaler, ids: Sequence[str] | None = None
) -> dict[str, NDArray[np.float32]]:
    """Stack candidates to the network's three inputs.

    Parameters
    ----------
    dos
        Shape (n, 2, 1500, 9), not scaled.
    compositions
        Shape (n, 111).
    scaler
        The scaler that was fitted on the training set.
    ids
        Names of the candidates, for the error messages.

    Returns
    -------
    dict
        ``up`` (n, 1500, 9), ``down`` (n, 1500, 9) and ``composition`` (n, 111), float32.

    Raises
    ------
    FeatureError
        If a shape is another or a value is not finite; the message names the array and the candidates.
    """
    checked, vectors = check_features(dos, compositions, ids=ids)
    scaled = scaler._scaled(checked)
    return {
        "up": np.ascontiguousarray(scaled[:, 0]),
        "down": np.ascontiguousarray(scaled[:, 1]),
        "composition": vectors,
    }


def check_features(
    dos: ArrayLike, compositions: ArrayLike, *, ids: Sequence[str] | None = None
) -> tuple[NDArray[np.floating], NDArray[np.float32]]:
    """Return both as arrays, or raise FeatureError naming the array and the candidates that are wrong."""
    checked = _checked_dos(dos, ids)
    vectors = np.asarray(compositions, dtype=np.float32)
    if vectors.shape != (len(checked), N_ELEMENTS):
        raise FeatureError(f"compositions have shape {vectors.shape}, must be ({len(checked)}, {N_ELEMENTS})")
    _check_finite("compositions", vectors, ids)
    return checked, vectors


def _checked_dos(dos: ArrayLike, ids: Sequence[str] | None) -> NDArray[np.floating]:
    array = np.asarray(dos)
    if array.ndim != 4 or array.shape[1:] != DOS_SHAPE:
        raise FeatureError(f"dos has shape {array.shape}, must be (n, {', '.join(map(str, DOS_SHAPE))})")
    if ids is not None and len(ids) != len(array):
        raise FeatureError(f"{len(ids)} ids for {len(array)} samples of dos")
    _check_finite("dos", array, ids)
    return array


def _check_finite(name: str, array: NDArray[np.floating], ids: Sequence[str] | None) -> None:
    bad = np.flatnonzero(~finite_samples(array))
    if len(bad):
        named = [str(ids[index]) if ids is not None else f"sample {index}" for index in bad[:10]]
        raise FeatureError(f"{name} has values that are not finite in {len(bad)} samples: {', '.join(named)}")


def finite_samples(array: NDArray[np.floating]) -> NDArray[np.bool_]:
    """Return for each sample of an array (n, ...) whether all its numbers are finite, shape (n,)."""
    others = tuple(range(1, array.ndim))
    with np.errstate(over="ignore", invalid="ignore"):
        # a sum is finite only if every term is, and needs no array of flags as large as the features
        finite: NDArray[np.bool_] = np.isfinite(array.sum(axis=others))
    doubtful = np.flatnonzero(~finite)
    finite[doubtful] = np.isfinite(array[doubtful]).all(axis=others)  # the sum of huge numbers may overflow
    return finite


def _check_mode(mode: str) -> None:
    if mode not in get_args(CompositionMode):
        raise ValueError(f"composition={mode!r}: must be one of {', '.join(get_args(CompositionMode))}")
