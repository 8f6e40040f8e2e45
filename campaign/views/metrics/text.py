"""`campaign metrics` in words: what can be said of a campaign's decisions, and what cannot."""

import math
from collections.abc import Iterator

from rich.table import Table

from campaign.metrics.audit import DiscoverabilityEstimate
from campaign.metrics.enough import too_few_for_share
from campaign.metrics.measured_costs import MeasuredCosts
from campaign.metrics.metrics import Metrics
from campaign.metrics.sweep import Optimum
from campaign.views.metrics.campaign_metrics import CampaignMetrics, CandidateCounts
from campaign.views.metrics.sweep import SweepOfRelaxed

_CRITERIA = {"f1": "highest F1", "c_eff": "lowest C_eff", "budget": "most stable within the budget"}


def metrics_table(found: CampaignMetrics) -> Table:
    """Metrics of the candidates decided on, as a table for the terminal."""
    table = Table(show_header=False, box=None, title=f"campaign {found.name}: metrics", title_justify="left")
    table.add_column(style="cyan")
    table.add_column(justify="right")
    table.add_column(style="dim")
    for row in metrics_rows(found):
        table.add_row(*row)
    return table


def metrics_rows(found: CampaignMetrics) -> Iterator[tuple[str, str, str]]:
    """What is measured, its value, and what it means, for each metric that there is."""
    yield from _candidate_rows(found)
    if found.metrics is not None and found.estimate is not None:
        yield from _metric_rows(found, found.metrics, found.estimate)


def _candidate_rows(found: CampaignMetrics) -> Iterator[tuple[str, str, str]]:
    counts = found.candidates
    if found.estimate is None:
        yield "candidates with a DFT result", str(found.n_results), f"{found.n_stable} stable"
        return
    audit = found.estimate.counts
    elsewhere = {"not decided on yet": counts.waiting, "whose IS-DOS failed": counts.dos_failed}
    others = ", ".join(f"{number} {what}" for what, number in elsewhere.items() if number)
    yield "candidates decided on", str(counts.decided), others
    unstable = audit.promoted_ended - audit.promoted_failed - audit.stable
    results = f"{audit.stable} stable, {unstable} not, {audit.promoted_failed} failed, {audit.promoted_open} open"
    yield "promoted", str(counts.promoted), results
    if counts.held:
        yield "held (budget)", str(counts.held), "count as not promoted until the budget is raised"
    without = f"{counts.without_prediction} of all have no prediction"
    if counts.before_dos:
        without += f"; {counts.before_dos} were rejected by the prefilter, before an IS-DOS"
    yield "not promoted", str(audit.not_promoted), without
    if counts.audited:
        unstable = audit.audited - audit.audit_failed - audit.audit_stable
        still_open = audit.audit_open - counts.audit_refused
        results = f"{audit.audit_stable} stable, {unstable} not, {audit.audit_failed} failed, {still_open} open"
        yield "  of them audited", str(counts.audited), results
    if counts.by_person:
        yield "promoted by a person", str(counts.by_person), f"{counts.person_stable} stable so far; in no metric below"
    if counts.rejected_by_person:
        yield "rejected by a person", str(counts.rejected_by_person), "count as the policy decided, and stay open"


def _metric_rows(
    found: CampaignMetrics, metrics: Metrics, estimate: DiscoverabilityEstimate
) -> Iterator[tuple[str, str, str]]:
    few = too_few_for_share(estimate.counts.promoted_ended - estimate.counts.promoted_failed, "relaxed ones")
    meaning = "TP / (TP + FP), of the relaxations that succeeded" + (f"; {few}" if few else "")
    yield "success ratio", _number(metrics.success_ratio), meaning
    low, high = estimate.interval
    sure = "exact" if estimate.is_exact else f"{estimate.confidence:.0%} interval {_number(low)} to {_number(high)}"
    yield "discoverability", _number(metrics.discoverability), f"TP / (TP + FN), {sure}"
    yield "F1", _number(metrics.f1), ""
    yield "prevalence", _number(metrics.prevalence), "stable / all"
    yield "DAF", _number(metrics.daf, digits=2), "success ratio / prevalence"
    yield "PPCR", _number(metrics.ppcr), "promoted / all"
    costs = found.costs
    yield "C_pre", _number(costs.costs.c_pre, digits=1), _pre_cost(costs)
    yield "C_opt", _number(costs.c_opt, digits=1), f"CPU-s for a relaxation, mean of {costs.n_relaxations} candidates"
    if found.c_eff_interval is not None:
        low, high = found.c_eff_interval
        between = f", from {_number(low, digits=0)} to {_number(high, digits=0)}" if low < high else ""
        yield "C_eff", _number(metrics.c_eff, digits=0), f"CPU-s, (C_opt PPCR + C_pre) / discoverability{between}"
    yield (
        "CPU-s for a stable one",
        _number(metrics.cpu_s_per_stable, digits=0),
        "IS-DOS of all and relaxations of the promoted, for each stable material found",
    )
    few = too_few_for_share(costs.n_relaxations, "relaxations with a known cost")
    meaning = "of the CPU-s of relaxing everything; IS-DOS and audit counted" + (f"; {few}" if few else "")
    yield "saving", _percent(metrics.saving), meaning
    yield (
        "saving, relaxations only",
        _percent(metrics.saving_relaxations_only),
        "what the paper quotes; leaves out IS-DOS and audit",
    )


def _pre_cost(costs: MeasuredCosts) -> str:
    of_dos = f"CPU-s for an IS-DOS, mean of {costs.n_dos} candidates"
    if not costs.c_prefilter:
        return of_dos
    share = f"{costs.dos_share:.0%} of the candidates got an IS-DOS, {_number(costs.c_pre, digits=1)} CPU-s each"
    return f"CPU-s before the decision: {_number(costs.c_prefilter, digits=1)} for the prefilter; {share}"


def _number(value: float, *, digits: int = 3) -> str:
    if math.isnan(value):
        return "unknown"
    return "unlimited" if math.isinf(value) else f"{value:.{digits}f}"


def _percent(value: float) -> str:
    return "unknown" if math.isnan(value) else f"{100 * value:.1f} %"


def metrics_notes(found: CampaignMetrics) -> list[str]:
    """What a reader of the numbers must know, one sentence or two each."""
    counts, estimate = found.candidates, found.estimate
    if found.purpose == "training_set":
        return ["A training set: everything is relaxed and nothing is predicted, so there are no decisions to measure."]
    if estimate is None:
        return ["Nothing has been decided yet, so there is nothing to measure."]
    notes = [_discoverability_note(estimate, has_audit=found.has_audit)]
    if estimate.counts.promoted_open or estimate.counts.audit_open:
        low, high = estimate.interval_as_ended
        notes.append(
            f"Open: {estimate.counts.promoted_open} promoted, {estimate.counts.audit_open} of the audit. The metrics "
            "take them to turn out as those that have ended; the interval allows them either way"
            + (f" (as those that have ended: {_number(low)} to {_number(high)})." if not math.isnan(low) else ".")
        )
    notes += _notes_on_counts(found, counts, estimate)
    return notes


def _discoverability_note(estimate: DiscoverabilityEstimate, *, has_audit: bool) -> str:
    known = estimate.counts
    low, high = estimate.interval
    if not known.not_promoted:
        return "Everything was promoted: nothing could be missed."
    if estimate.is_exact:
        return "All that were not promoted were relaxed too: nothing is estimated."
    if known.audited:
        least, most = estimate.missed_interval
        return (
            f"Missed: about {estimate.missed:.0f} stable materials, {least} to {most}, from {known.audit_stable} among "
            f"{known.audited} audited of {known.not_promoted} that were not promoted."
        )
    if known.audit_open:
        return "No relaxation of the audit has ended yet, so nothing can be said of what was missed."
    if has_audit:
        return (
            f"The audit has drawn none of the {known.not_promoted} that were not promoted so far, so nothing can be "
            "said of what was missed."
        )
    return (
        f"No audit: {known.stable} stable materials were found, and nobody knows how many of the "
        f"{known.not_promoted} that were not promoted are stable. Discoverability is somewhere from {_number(low)} to "
        f"{_number(high)}, and F1, prevalence, DAF and C_eff cannot be said. For the next campaign set policy.audit."
    )


def _notes_on_counts(
    found: CampaignMetrics, counts: CandidateCounts, estimate: DiscoverabilityEstimate
) -> Iterator[str]:
    failed = estimate.counts.promoted_failed + estimate.counts.audit_failed
    if failed:
        yield (
            f"{failed} failed relaxation(s) found nothing: they are neither in the success ratio nor stable, and they "
            "cost what they cost."
        )
    if counts.audit_refused:
        yield (
            f"{counts.audit_refused} candidate(s) drawn for the audit were not relaxed because of the budget; the "
            "interval allows them either way."
        )
    if counts.dos_failed:
        yield f"{counts.dos_failed} candidate(s) whose IS-DOS failed were not decided on: no metric covers them."
    if found.costs.n_unknown:
        yield (
            f"{found.costs.n_unknown} attempt(s) were killed and left no CPU-seconds: C_pre and C_opt are too low by "
            "what they used."
        )


def sweep_table(sweep: SweepOfRelaxed) -> Table:
    """Best thresholds of a sweep as a table for the terminal."""
    table = Table(title="other thresholds (eV/atom)", title_justify="left", box=None, padding=(0, 1, 0, 0))
    headings = ("", "E_f(ML)", "E_hull(ML)", "promoted", "success ratio", "discoverability", "F1", "C_eff", "CPU-h")
    for heading in headings:
        table.add_column(heading, justify="right" if heading else "left")
    for optimum in sweep.optima:
        table.add_row(*_optimum_row(optimum))
    return table


def _optimum_row(optimum: Optimum) -> list[str]:
    metrics = optimum.metrics
    return [
        _CRITERIA[optimum.criterion],
        f"{optimum.max_formation_energy:+.2f}",
        f"{optimum.max_hull_energy:.2f}",
        str(metrics.n_promoted),
        _number(metrics.success_ratio),
        _number(metrics.discoverability),
        _number(metrics.f1),
        _number(metrics.c_eff, digits=0),
        _number(optimum.cpu_s / 3600.0, digits=1),
    ]


def sweep_note(sweep: SweepOfRelaxed) -> str:
    """Say what the sweep is about, and what it cannot show."""
    if not sweep.n_relaxed:
        return "Nothing that was decided on is relaxed yet: no thresholds can be compared."
    if not sweep.is_biased:
        return f"Over all {sweep.n_decided} candidates decided on: all are relaxed, so the comparison is fair."
    return (
        f"Over the {sweep.n_relaxed} relaxed of {sweep.n_decided} candidates decided on. These are mostly those that "
        "the policy promoted, so the comparison is biased towards it: looser thresholds than the policy's miss "
        "candidates that nobody relaxed, and discoverability, F1 and C_eff hold among the relaxed only."
    )
