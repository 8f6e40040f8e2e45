"""Lines of the preview about settings that depend on each other: learning during the campaign, and the prefilter."""

import math
from collections.abc import Iterator

from campaign.recalibration.trial import LEAST_SAMPLES
from campaign.spec.campaign_spec import CampaignSpec


def format_learning(spec: CampaignSpec, n_screened: int) -> Iterator[str]:
    """Say when the first recalibration and retraining take place, or that they cannot."""
    if (every := spec.screening.recalibrate_every) is not None:
        first = every * math.ceil(LEAST_SAMPLES / every)
        least = f"it needs at least {LEAST_SAMPLES} relaxed candidates"
        yield f"recalibrated first when {first} screened candidates are relaxed, then after every {every}; {least}"
        yield from _never(spec, "recalibrate_every", first, n_screened)
    if (every := spec.screening.retrain_every) is not None:
        counted = "1 screened candidate has" if every == 1 else f"{every} screened candidates have"
        yield f"retrained first when {counted} a relaxation and an RS-DOS, then after every {every}"
        yield from _never(spec, "retrain_every", every, n_screened)


def _never(spec: CampaignSpec, field: str, first: int, n_screened: int) -> Iterator[str]:
    """Note why fewer than ``first`` candidates are relaxed while another one waits for a decision."""
    limit, screening = spec.budget.relaxations, spec.screening
    one_batch = n_screened <= screening.batch_size and screening.enough_of(n_screened) == n_screened
    if n_screened <= first:
        why = f"{first} relaxed and one that waits are needed, but the number screened is only {n_screened}"
    elif limit is not None and limit < first:
        why = f"budget.relaxations is {limit}"
    elif one_batch and not spec.is_limited():
        why = "all candidates are decided on in one batch, and no limit in budget or policy leaves some waiting"
    else:
        return
    yield f"note: screening.{field} ({getattr(screening, field)}) has no effect: {why}"


def format_strict_prefilter(spec: CampaignSpec) -> Iterator[str]:
    """Note a prefilter that rejects what the policy would promote, or what counts as stable."""
    prefilter = spec.prefilter
    if prefilter is None:
        return
    deviation = prefilter.deviation(getattr(prefilter.scorer, "uncertainty", None))
    if prefilter.z and deviation is None:
        return  # the margin is known only after scoring
    limit = prefilter.max_hull_energy + prefilter.z * (deviation or 0.0)
    margin = f" + z x uncertainty = {limit:g}" if prefilter.z else ""
    said = f"note: prefilter.max_hull_energy ({prefilter.max_hull_energy:g}{margin} eV/atom) is below"
    for field, value, rejected in (
        ("policy", getattr(spec.policy, "max_hull_energy", None), "the policy would promote"),
        ("stable", spec.stable.max_hull_energy, "may count as stable"),
    ):
        if value is not None and limit < value:
            yield f"{said} {field}.max_hull_energy ({value:g}), so it rejects candidates that {rejected}"
