"""Two scorers one after the other, as one: the dear one is asked only where the cheap one leaves hope."""

import math
from collections.abc import Sequence
from dataclasses import replace

from campaign.policies.prefilter import prefilter_verdict
from campaign.replay.candidate import KnownCandidate
from campaign.replay.data import ReplayData, ReplayDataError
from campaign.spec.sections.stable import StableSection


def cascade(
    cheap: Sequence[KnownCandidate],
    dear: Sequence[KnownCandidate],
    *,
    stable: StableSection | None = None,
    z: float = 2.0,
    uncertainty: float | None = None,
) -> tuple[KnownCandidate, ...]:
    """Candidates as a campaign with a prefilter predicts them.

    Each pays for the cheap prediction; those that the prefilter's rule lets pass pay for the other one too, and are
    predicted by it. The rest have no prediction, so they are rejected.

    Parameters
    ----------
    cheap, dear
        The same candidates as two scorers predict them, in one order.
    stable
        What counts as stable, eV/atom: what is above its limit of E_hull, or of E_f, by more than `z` deviations of the
        cheap prediction, does not pass. None: the defaults of a campaign file.
    z
        Standard deviations that a candidate is given.
    uncertainty
        Standard deviation of cheap predictions that have none, eV/atom; None: such candidates pass.
    """
    limits = stable or StableSection()
    return tuple(_one(*pair, limits, z, uncertainty) for pair in zip(cheap, dear, strict=True))


def with_cascade(data: ReplayData, text: str, *, stable: StableSection | None = None) -> ReplayData:
    """Return the data with one more scorer, ``CHEAP>DEAR``, for a text ``CHEAP,DEAR``.

    Raises
    ------
    ReplayDataError
        If the text does not name two scorers of the data.
    """
    names = [name.strip() for name in text.split(",")]
    if len(names) != 2 or names[0] == names[1] or not set(names) <= set(data.scorers):
        known = ", ".join(data.scorers) or "none, since the data name none (columns e_form_ml:NAME)"
        raise ReplayDataError(data.source, [f"--cascade {text}: right: CHEAP,DEAR, two of its scorers: {known}"])
    cheap, dear = (data.scorers[name] for name in names)
    found = cascade(cheap, dear, stable=stable or data.stable)
    return replace(data, scorers={**data.scorers, ">".join(names): found})


def _one(
    cheap: KnownCandidate, dear: KnownCandidate, limits: StableSection, z: float, uncertainty: float | None
) -> KnownCandidate:
    if cheap.id != dear.id:
        raise ValueError(f"found {cheap.id} beside {dear.id}; right: the same candidates in one order")
    deviation = uncertainty if cheap.uncertainty is None else cheap.uncertainty
    passes = all(
        prefilter_verdict(energy, deviation, z=z, max_hull_energy=most).promising
        for energy, most in ((cheap.e_hull_ml, limits.max_hull_energy), (cheap.e_form_ml, limits.max_formation_energy))
    )
    if passes:
        return replace(dear, dos_cpu_s=cheap.dos_cpu_s + dear.dos_cpu_s)
    return replace(dear, dos_cpu_s=cheap.dos_cpu_s, e_form_ml=math.nan, e_hull_ml=math.nan, uncertainty=None)
