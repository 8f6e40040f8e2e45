"""Two scorers one after the other, as one: the dear one is asked only where the cheap one leaves hope."""

import math
from collections.abc import Sequence
from dataclasses import replace

from campaign.policies.prefilter import prefilter_verdict
from campaign.replay.candidate import KnownCandidate
from campaign.replay.data import ReplayData, ReplayDataError
from campaign.spec.sections.stable import StableSection

COMBINED = "combined"


def cascade(
    cheap: Sequence[KnownCandidate],
    dear: Sequence[KnownCandidate],
    *,
    stable: StableSection | None = None,
    z: float = 2.0,
    uncertainty: float | None = None,
    combine: bool = False,
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
    combine
        Whether those that pass are predicted by both, each weighted by its inverse variance as if their errors were
        independent; else by the dear scorer alone. Where one gives no deviation, or no energy, the dear one's stands.
    """
    limits = stable or StableSection()
    found = []
    for first, second in zip(cheap, dear, strict=True):
        if first.id != second.id:
            raise ValueError(f"found {first.id} beside {second.id}; right: the same candidates in one order")
        known = replace(first, uncertainty=uncertainty if first.uncertainty is None else first.uncertainty)
        found.append(_one(known, second, limits, z, combine))
    return tuple(found)


def with_cascade(data: ReplayData, text: str, *, stable: StableSection | None = None) -> ReplayData:
    """Return the data with one more scorer, ``CHEAP>DEAR``, for a text ``CHEAP,DEAR``; ``CHEAP,DEAR,combined``: both.

    Raises
    ------
    ReplayDataError
        If the text does not name two scorers of the data.
    """
    names = [name.strip() for name in text.split(",")]
    combine = len(names) == 3 and names[2] == COMBINED
    names = names[:2] if combine else names
    if len(names) != 2 or names[0] == names[1] or not set(names) <= set(data.scorers):
        known = ", ".join(data.scorers) or "none, since the data name none (columns e_form_ml:NAME)"
        right = f"CHEAP,DEAR or CHEAP,DEAR,{COMBINED}, two of its scorers: {known}"
        raise ReplayDataError(data.source, [f"--cascade {text}: right: {right}"])
    cheap, dear = (data.scorers[name] for name in names)
    found = cascade(cheap, dear, stable=stable or data.stable, combine=combine)
    return replace(data, scorers={**data.scorers, ("+" if combine else ">").join(names): found})


def _one(cheap: KnownCandidate, dear: KnownCandidate, limits: StableSection, z: float, combine: bool) -> KnownCandidate:
    passes = all(
        prefilter_verdict(energy, cheap.uncertainty, z=z, max_hull_energy=most).promising
        for energy, most in ((cheap.e_hull_ml, limits.max_hull_energy), (cheap.e_form_ml, limits.max_formation_energy))
    )
    if not passes:
        return replace(dear, dos_cpu_s=cheap.dos_cpu_s, e_form_ml=math.nan, e_hull_ml=math.nan, uncertainty=None)
    both = replace(dear, dos_cpu_s=cheap.dos_cpu_s + dear.dos_cpu_s)
    if not combine or not cheap.uncertainty or not dear.uncertainty or math.isnan(cheap.e_form_ml + dear.e_form_ml):
        return both
    weights = cheap.uncertainty**-2, dear.uncertainty**-2
    share = weights[0] / sum(weights)
    return replace(
        both,
        e_form_ml=share * cheap.e_form_ml + (1.0 - share) * dear.e_form_ml,
        e_hull_ml=share * cheap.e_hull_ml + (1.0 - share) * dear.e_hull_ml,
        uncertainty=sum(weights) ** -0.5,
    )
