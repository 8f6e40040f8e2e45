"""The uncertainty of a predicted formation energy: calibrated standard deviations, and their quality.

The variance is modelled as ``base**2 + factor**2 * signal``, where the signal is one of

* ``spread``: the variance of the members of an ensemble (B. Lakshminarayanan, A. Pritzel, C. Blundell, "Simple and
  Scalable Predictive Uncertainty Estimation using Deep Ensembles", NIPS 2017, arXiv:1612.01474). Uncalibrated, it is
  too small, since all members see the same data; it must be calibrated on data that no member was fitted to (G. Palmer
  et al., npj Comput. Mater. 8, 115 (2022), DOI 10.1038/s41524-022-00794-8);
* ``novelty``: for a single network, the distance to the training set in the last hidden layer (J. P. Janet, C. Duan,
  T. Yang, A. Nandy, H. J. Kulik, Chem. Sci. 10, 7913 (2019), DOI 10.1039/C9SC02298H, whose equation this is);
* ``constant``: no signal, if there are too few validation samples to fit two parameters.

The factor of the spread is at least 1, because base and spread are the two parts of the variance of a mixture of the
members (Lakshminarayanan et al., section 2.4), and because a spread that is uninformative for a uniform validation part
may still be informative for other materials.

Both parameters maximise the Gaussian likelihood of the residuals of the validation part. The same part was used to
choose the epoch whose weights were kept, so the residuals are slightly too small; the test part is not used at all.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from statistics import NormalDist
from typing import Any, Literal, Self, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

Signal = Literal["spread", "novelty", "constant"]

MIN_CALIBRATION = 5
"""With fewer residuals, no standard deviation is given."""
MIN_TWO_PARAMETERS = 20
"""With fewer residuals, only their root mean square is fitted, since two parameters would fit noise."""
FEW_SAMPLES = 100
"""With fewer residuals, the standard deviations themselves are uncertain by more than 7 %, from 1 / sqrt(2 n).

(In fact by more, since the errors for the IS-DOS and the RS-DOS of one material are correlated but count as two.)
"""

# fractions of the base in the mean variance; 0 would place unlimited trust in an ensemble that agrees by chance
_BASE_SHARES = np.geomspace(0.01, 1.0, 200)
_SMALLEST_STD = 1e-3
_PROBABILITIES = np.linspace(0.0, 1.0, 101)


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """Converts a signal to a standard deviation.

    Attributes
    ----------
    signal
        Quantity with which the standard deviation grows (see the module).
    base
        Standard deviation for a signal of 0, eV/atom.
    factor
        Factor of the square root of the signal: dimensionless for the spread, eV/atom for the novelty.
    n_samples
        Number of residuals that both parameters were fitted to.
    note
        Caveat if these were few; None otherwise.
    """

    signal: Signal
    base: float
    factor: float
    n_samples: int
    note: str | None = None

    def __post_init__(self) -> None:
        if self.signal not in get_args(Signal):
            raise ValueError(f"signal={self.signal!r}: must be one of {', '.join(get_args(Signal))}")
        if not (np.isfinite([self.base, self.factor]).all() and self.base > 0 and self.factor >= 0):
            raise ValueError(f"base={self.base!r} must be above 0 and factor={self.factor!r} 0 or above, both finite")

    def std(self, signal: ArrayLike) -> NDArray[np.float64]:
        """Return standard deviations in eV/atom; NaN if the signal is NaN, unless the calibration is constant."""
        values = np.asarray(signal, dtype=np.float64)
        if self.signal == "constant":
            return np.full(values.shape, self.base)
        return np.sqrt(self.base**2 + self.factor**2 * values)

    def to_dict(self) -> dict[str, Any]:
        """Return the calibration in JSON types."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Create from the result of `to_dict`."""
        return cls(**data)


def fit_calibration(residuals: ArrayLike, signal: ArrayLike | None, *, kind: Signal) -> Calibration | None:
    """Fit the two parameters to residuals of samples that were not trained on.

    For a given fraction of the base in the variance, the scale that maximises the likelihood is known in closed form
    (the mean of the squared residuals divided by the relative variances). The fraction is searched on a grid, to avoid
    local minima.

    Parameters
    ----------
    residuals
        Predicted minus true formation energies, eV/atom, shape (n,).
    signal
        Non-negative signal, shape (n,): variances in (eV/atom)^2 for ``spread``, distances for ``novelty``, None for
        ``constant``.
    kind
        Kind of the signal.

    Returns
    -------
    Calibration or None
        None with fewer than `MIN_CALIBRATION` residuals.

    Raises
    ------
    ValueError
        If a value is not finite, a signal is negative, or the lengths differ.
    """
    errors = np.asarray(residuals, dtype=np.float64)
    values = np.zeros(len(errors)) if signal is None else np.asarray(signal, dtype=np.float64)
    if values.shape != errors.shape or errors.ndim != 1:
        raise ValueError(f"signal has shape {values.shape}, residuals have {errors.shape}: must be one for each")
    if not np.isfinite(errors).all() or not np.isfinite(values).all() or (values < 0).any():
        raise ValueError("residuals and signal must be finite, and no signal below 0")
    if len(errors) < MIN_CALIBRATION:
        return None
    squares = errors**2
    if kind == "constant" or len(errors) < MIN_TWO_PARAMETERS or values.mean() == 0.0:
        base = max(float(np.sqrt(squares.mean())), _SMALLEST_STD)
        return Calibration(signal="constant", base=base, factor=0.0, n_samples=len(errors), note=_note(len(errors)))
    base, factor = _most_likely(squares, values)
    if kind == "spread" and factor < 1.0:
        base, factor = _most_likely_base(squares, values), 1.0
    return Calibration(
        signal=kind, base=max(base, _SMALLEST_STD), factor=factor, n_samples=len(errors), note=_note(len(errors))
    )


def _most_likely(squares: NDArray[np.float64], values: NDArray[np.float64]) -> tuple[float, float]:
    """Return the base and factor that maximise the likelihood, for a signal that is not all zero."""
    relative = _BASE_SHARES[:, None] + (1.0 - _BASE_SHARES[:, None]) * (values / values.mean())
    scales = (squares / relative).mean(axis=1)
    likelihoods = -np.log(np.maximum(scales, _SMALLEST_STD**2)) - np.log(relative).mean(axis=1)
    best = int(np.argmax(likelihoods))
    base = float(np.sqrt(scales[best] * _BASE_SHARES[best]))
    return base, float(np.sqrt(scales[best] * (1.0 - _BASE_SHARES[best]) / values.mean()))


def _most_likely_base(squares: NDArray[np.float64], values: NDArray[np.float64]) -> float:
    """Return the base that maximises the likelihood for a factor of 1.

    It is at least 5 % of the error, to limit the trust in an ensemble that agrees by chance.
    """
    error = float(np.sqrt(squares.mean()))
    bases = error * np.geomspace(0.05, 2.0, 200)
    variances = np.maximum(bases[:, None] ** 2 + values, _SMALLEST_STD**2)
    return float(bases[np.argmax(-np.log(variances).mean(axis=1) - (squares / variances).mean(axis=1))])


def _note(n_samples: int) -> str | None:
    if n_samples < MIN_TWO_PARAMETERS:
        return (
            f"fitted to {n_samples} validation samples, fewer than {MIN_TWO_PARAMETERS}: "
            "the same standard deviation for every prediction"
        )
    if n_samples < FEW_SAMPLES:
        return (
            f"fitted to {n_samples} validation samples: the standard deviations themselves are uncertain by about "
            f"{100 / np.sqrt(2 * n_samples):.0f} % or more"
        )
    return None


@dataclass(frozen=True)
class CalibrationCurve:
    """Expected against observed coverage of central intervals.

    Attributes
    ----------
    expected
        Probabilities from 0 to 1, shape (101,).
    observed
        Fraction of samples whose error lies inside the interval of that probability, shape (101,).
    area
        Area between the curve and the diagonal, 0 (perfect) to 0.5: the miscalibration area (K. Tran et al., Mach.
        Learn.: Sci. Technol. 1, 025006 (2020), DOI 10.1088/2632-2153/ab7e1a).
    sharpness
        Root mean square of the standard deviations, eV/atom.
    n_samples
        Number of samples with a standard deviation.
    """

    expected: NDArray[np.float64]
    observed: NDArray[np.float64]
    area: float
    sharpness: float
    n_samples: int

    def coverage(self, probability: float) -> float:
        """Return the observed fraction of errors inside the interval of the given probability."""
        return float(np.interp(probability, self.expected, self.observed))


def calibration_curve(residuals: ArrayLike, std: ArrayLike) -> CalibrationCurve | None:
    """Compare the errors with normal distributions of the given standard deviations.

    The residuals (predicted minus true) and ``std``, both of shape (n,), are in eV/atom. Samples whose standard
    deviation is NaN are left out; None if no sample has one.
    """
    errors, widths = np.abs(np.asarray(residuals, dtype=np.float64)), np.asarray(std, dtype=np.float64)
    known = np.isfinite(widths)
    if not known.any():
        return None
    scores = errors[known] / widths[known]
    normal = NormalDist()
    limits = np.array([normal.inv_cdf((1.0 + p) / 2.0) for p in _PROBABILITIES[:-1]])
    observed = np.append((scores <= limits[:, None]).mean(axis=1), 1.0)
    return CalibrationCurve(
        expected=_PROBABILITIES.copy(),
        observed=observed,
        area=float(np.trapezoid(np.abs(observed - _PROBABILITIES), _PROBABILITIES)),
        sharpness=float(np.sqrt(np.mean(widths[known] ** 2))),
        n_samples=int(known.sum()),
    )
