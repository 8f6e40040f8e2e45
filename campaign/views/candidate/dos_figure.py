"""Line figure of a candidate's DOS as SVG paths: spin up above the axis, spin down below it."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from campaign.store.features import decode_features
from esnet.representation.dos import ENERGY_GRID, dos_unit

WIDTH, HEIGHT = 480, 250
LEFT, RIGHT, TOP, BOTTOM = 46, 8, 10, 34
_MARGIN_EV = 1.0  # shown beyond the first and the last state
_SMALLEST = 1e-3  # of the highest value: less than a pixel

Floats = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class SpinDos:
    """A stored DOS, summed over its orbitals.

    Attributes
    ----------
    up, down
        Spin up and spin down, both positive, shape (1500,), states/eV as normalised.
    unit
        Unit of `up` and `down`.
    efermi
        Fermi level on the energy axis, eV; None if unknown.
    fermi_is_zero
        Whether energies are relative to the Fermi level.
    spacing
        Spacing of the calculation's energy grid, eV.
    """

    up: Floats
    down: Floats
    unit: str
    efermi: float | None
    fermi_is_zero: bool
    spacing: float


@dataclass(frozen=True, kw_only=True)
class Tick:
    """Tick of an axis: its position in the figure and its label."""

    at: float
    label: str


@dataclass(frozen=True, kw_only=True)
class DosFigure:
    """Coordinates of the figure, in units of its view box.

    Attributes
    ----------
    up, down
        Paths of the areas under both lines.
    zero
        Height of the axis between them.
    fermi
        Position of the Fermi level; None if unknown or out of range.
    """

    up: str
    down: str
    zero: float
    fermi: float | None
    x_ticks: list[Tick]
    y_ticks: list[Tick]


def read_dos(document: Mapping[str, Any]) -> SpinDos:
    """Return the DOS of stored features, summed over the orbitals.

    Raises
    ------
    DamagedFeaturesError
        If they cannot be read.
    """
    dos, _ = decode_features(document)
    # a calculation with one spin has the other one with the opposite sign (docs/explanation/science.md)
    up, down = np.abs(np.asarray(dos, dtype=np.float64)).sum(axis=2)
    fermi_is_zero = document.get("energy_reference") == "fermi"
    efermi = 0.0 if fermi_is_zero else document.get("efermi")
    return SpinDos(
        up=up,
        down=down,
        unit=dos_unit(document.get("normalisation")),
        efermi=None if efermi is None or not math.isfinite(efermi) else float(efermi),
        fermi_is_zero=fermi_is_zero,
        spacing=float(document["spacing"]),
    )


def dos_figures(found: Sequence[SpinDos]) -> list[DosFigure]:
    """Return the figures of one candidate's DOS, with common axes for comparison."""
    if not found:
        return []
    highest = max(float(np.max([one.up, one.down])) for one in found) or 1.0
    low, high = _range(found, highest)
    return [_figure(one, low, high, highest) for one in found]


def _range(found: Iterable[SpinDos], highest: float) -> tuple[float, float]:
    """Return the energy range that contains all states and Fermi levels, eV."""
    some: list[float] = []
    for one in found:
        energies = ENERGY_GRID[np.maximum(one.up, one.down) > _SMALLEST * highest]
        some += [float(energies[0]), float(energies[-1])] if len(energies) else []
        some += [] if one.efermi is None else [one.efermi]
    first, last = float(ENERGY_GRID[0]), float(ENERGY_GRID[-1])
    if not some:
        return first, last
    return max(first, min(min(some) - _MARGIN_EV, last - 1.0)), min(last, max(max(some) + _MARGIN_EV, first + 1.0))


def _figure(dos: SpinDos, low: float, high: float, highest: float) -> DosFigure:
    zero = TOP + (HEIGHT - TOP - BOTTOM) / 2
    x_scale = (WIDTH - LEFT - RIGHT) / (high - low)
    y_scale = (zero - TOP) / (1.05 * highest)

    def x_of(energy: float) -> float:
        return LEFT + (energy - low) * x_scale

    first, last = np.searchsorted(ENERGY_GRID, [low, high])
    shown = slice(first, last + 1)
    x = LEFT + (ENERGY_GRID[shown] - low) * x_scale
    inside = dos.efermi is not None and low <= dos.efermi <= high
    heights = _nice_ticks(0.0, highest, number=3)[1:]
    y_ticks = [Tick(at=zero - sign * value * y_scale, label=f"{value:g}") for value in heights for sign in (1, -1)]
    return DosFigure(
        up=_area(x, zero - dos.up[shown] * y_scale, zero),
        down=_area(x, zero + dos.down[shown] * y_scale, zero),
        zero=zero,
        fermi=x_of(dos.efermi) if inside and dos.efermi is not None else None,
        x_ticks=[Tick(at=x_of(value), label=f"{value:g}") for value in _nice_ticks(low, high, number=7)],
        y_ticks=[Tick(at=zero, label="0"), *y_ticks],
    )


def _area(x: Floats, y: Floats, zero: float) -> str:
    points = [f"{a:.1f},{b:.1f}" for a, b in zip(x, y, strict=True)]
    return f"M{x[0]:.1f},{zero:.1f}L{'L'.join(points)}L{x[-1]:.1f},{zero:.1f}"


def _nice_ticks(low: float, high: float, *, number: int) -> list[float]:
    """Return round tick values from low to high, in at most about `number` steps."""
    rough = (high - low) / number
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough)
    first = math.ceil(low / step)
    return [round(place * step, 10) for place in range(first, math.floor(high / step) + 1)]
