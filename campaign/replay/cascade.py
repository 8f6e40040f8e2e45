"""A cascade of two scorers treated as one: the expensive one is used only for candidates the cheap one does not
exclude.
"""

import math
from collections.abc import Sequence
from dataclasses import replace
from itertools import permutations

from campaign.combination.correlation import ASSUMED_CORRELATION
from campaign.combination.weights import combine as weighted_mean
from campaign.policies.prefilter import prefilter_verdict
from campaign.replay.candidate import KnownCandidate
from campaign.replay.data import ReplayData, ReplayDataError
from campaign.spec.sections.prefilter import PrefilterSection

COMBINED = "combined"
#: Default of the campaign file's section ``prefilter``.
MAX_HULL_ENERGY: float = PrefilterSection.model_fields["max_hull_energy"].default
Z: float = PrefilterSection.model_fields["z"].default


def cascade(
    cheap: Sequence[KnownCandidate],
    dear: Sequence[KnownCandidate],
    *,
    max_hull_energy: float = MAX_HULL_ENERGY,
    z: float = Z,
    uncertainty: float | None = None,
    combine: bool = False,
) -> tuple[KnownCandidate, ...]:
    """Return candidates as predicted in a campaign with a prefilter.

    All pay for the cheap prediction; those that pass the prefilter's rule also pay for the expensive one, which
    replaces it. The others have no prediction, so they are rejected.

    Parameters
    ----------
    cheap, dear
        The same candidates, in the same order, as predicted by the two scorers.
    max_hull_energy, z
        As in the section ``prefilter`` of a campaign file: a candidate that the cheap scorer predicts above this
        E_hull, eV/atom, by more than `z` of its standard deviations does not pass.
    uncertainty
        Standard deviation of cheap predictions without one, eV/atom. If None, such candidates pass.
    combine
        Whether candidates that pass are predicted by both, combined like ``scorer.combine`` before there are enough
        relaxations to estimate the correlation of their errors; otherwise by the expensive scorer alone. If one gives
        no deviation or no energy, the expensive one's prediction is used.
    """
    found = []
    for first, second in zip(cheap, dear, strict=True):
        if first.id != second.id:
            raise ValueError(f"found {first.id} and {second.id}; right: the same candidates in the same order")
        known = replace(first, uncertainty=uncertainty if first.uncertainty is None else first.uncertainty)
        passes = prefilter_verdict(known.e_hull_ml, known.uncertainty, z=z, max_hull_energy=max_hull_energy).promising
        found.append(_one(known, second, passes, combine))
    return tuple(found)


def with_cascade(data: ReplayData, text: str) -> ReplayData:
    """Return the data with another scorer ``CHEAP>DEAR`` for the text ``CHEAP,DEAR``; ``CHEAP,DEAR,combined`` combines
    both.

    Raises
    ------
    ReplayDataError
        If the text does not name two scorers of the data.
    """
    pairs = [pair for pair in permutations(data.scorers, 2) if _plain(text) in (_asked(*pair), _asked(*pair, COMBINED))]
    if len(pairs) != 1:
        known = ", ".join(f"'{name}'" for name in data.scorers) or "none, since the data name none (e_form_ml:NAME)"
        right = f"CHEAP,DEAR or CHEAP,DEAR,{COMBINED}, two of its scorers: {known}"
        raise ReplayDataError(data.source, [f"--cascade {text}: right: {right}"])
    (names,) = pairs
    combine = _plain(text) == _asked(*names, COMBINED)
    found = cascade(data.scorers[names[0]], data.scorers[names[1]], combine=combine)
    return replace(data, scorers={**data.scorers, ("+" if combine else ">").join(names): found})


def _asked(*names: str) -> str:
    # names of scorers may contain commas
    return _plain(",".join(names))


def _plain(text: str) -> str:
    return ",".join(part.strip() for part in text.split(","))


def _one(cheap: KnownCandidate, dear: KnownCandidate, passes: bool, combine: bool) -> KnownCandidate:
    if not passes:
        return replace(dear, dos_cpu_s=cheap.dos_cpu_s, e_form_ml=math.nan, e_hull_ml=math.nan, uncertainty=None)
    both = replace(dear, dos_cpu_s=cheap.dos_cpu_s + dear.dos_cpu_s)
    if not combine or not cheap.uncertainty or not dear.uncertainty or math.isnan(cheap.e_form_ml + dear.e_form_ml):
        return both
    deviations = cheap.uncertainty, dear.uncertainty
    e_form = weighted_mean((cheap.e_form_ml, dear.e_form_ml), deviations, ASSUMED_CORRELATION)
    e_hull = weighted_mean((cheap.e_hull_ml, dear.e_hull_ml), deviations, ASSUMED_CORRELATION)
    return replace(both, e_form_ml=e_form.mean, e_hull_ml=e_hull.mean, uncertainty=e_form.deviation)
