"""Text of `campaign metrics`: known and unknown properties of a campaign's decisions."""

import math
from collections.abc import Iterator

from rich.table import Table

from campaign.config.wording import format_count
from campaign.metrics.audit import DiscoverabilityEstimate
from campaign.metrics.enough import too_few_for_share
from campaign.metrics.measured_costs import MeasuredCosts
from campaign.metrics.metrics import Metrics
from campaign.metrics.sweep import Optimum
from campaign.views.metrics.campaign_metrics import CampaignMetrics, CandidateCounts
from campaign.views.metrics.sweep import SweepOfRelaxed

_CRITERIA = {"f1": "highest F1", "c_eff": "lowest C_eff", "budget": "most stable within the budget"}


def metrics_table(found: CampaignMetrics) -> Table:
    """Return the metrics of the candidates decided on as a table for the terminal."""
    table = Table(show_header=False, box=None, title=f"campaign {found.name}: metrics", title_justify="left")
    table.add_column(style="cyan")
    table.add_column(justify="right")
    table.add_column(style="dim")
    for row in metrics_rows(found):
        table.add_row(*row)
    return table


def metrics_rows(found: CampaignMetrics) -> Iterator[tuple[str, str, str]]:
    """Yield name, value and meaning of each available metric."""
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
        yield "held (budget)", str(counts.held), "count as rejected until the budget is raised"
    without = f"{counts.without_prediction} of them have no prediction"
    if counts.before_dos:
        without += f"; {counts.before_dos} were rejected by the prefilter, before an IS-DOS"
    yield "not promoted", str(audit.not_promoted), without
    if counts.audited:
        unstable = audit.audited - audit.audit_failed - audit.audit_stable
        still_open = audit.audit_open - counts.audit_refused
        results = f"{audit.audit_stable} stable, {unstable} not, {audit.audit_failed} failed, {still_open} open"
        yield "  of which audited", str(counts.audited), results
    if counts.by_person:
        yield (
            "promoted by a person",
            str(counts.by_person),
            f"{counts.person_stable} stable so far; not in the metrics below",
        )
    if counts.rejected_by_person:
        yield "rejected by a person", str(counts.rejected_by_person), "count as decided by the policy, and stay open"


def _metric_rows(
    found: CampaignMetrics, metrics: Metrics, estimate: DiscoverabilityEstimate
) -> Iterator[tuple[str, str, str]]:
    few = too_few_for_share(estimate.counts.promoted_ended - estimate.counts.promoted_failed, "relaxed ones")
    meaning = "TP / (TP + FP), for successful relaxations" + (f"; {few}" if few else "")
    yield "success ratio", _number(metrics.success_ratio), meaning
    low, high = estimate.interval
    sure = "exact" if estimate.is_exact else f"{estimate.confidence:.0%} interval {_number(low)} to {_number(high)}"
    yield "discoverability", _number(metrics.discoverability), f"TP / (TP + FN), {sure}"
    yield "F1", _number(metrics.f1), ""
    yield "prevalence", _number(metrics.prevalence), "stable / all"
    yield "DAF", _number(metrics.daf, digits=2), "discovery acceleration, success ratio / prevalence"
    yield "PPCR", _number(metrics.ppcr), "share promoted, promoted / all"
    costs = found.costs
    yield "C_pre", _number(costs.costs.c_pre, digits=1), _pre_cost(costs)
    yield "C_opt", _number(costs.c_opt, digits=1), f"CPU-s for a relaxation, mean of {costs.n_relaxations} candidates"
    if found.c_eff_interval is not None:
        low, high = found.c_eff_interval
        between = f", from {_number(low, digits=0)} to {_number(high, digits=0)}" if low < high else ""
        yield "C_eff", _number(metrics.c_eff, digits=0), f"CPU-s, (C_opt PPCR + C_pre) / discoverability{between}"
    yield (
        "CPU-s for each stable material",
        _number(metrics.cpu_s_per_stable, digits=0),
        "IS-DOS of all and relaxations of the promoted, for each stable material found",
    )
    few = too_few_for_share(costs.n_relaxations, "relaxations with a known cost")
    meaning = "of the CPU-s for relaxing everything; including IS-DOS and audit" + (f"; {few}" if few else "")
    yield "saving", _percent(metrics.saving), meaning
    yield (
        "saving, relaxations only",
        _percent(metrics.saving_relaxations_only),
        "as quoted in the paper; excludes IS-DOS and audit",
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
    """Return the notes needed to interpret the numbers, one or two sentences each."""
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
            "assume that they turn out like the finished ones; the interval allows for either outcome"
            + (
                f" (if they turn out like the finished ones: {_number(low)} to {_number(high)})."
                if not math.isnan(low)
                else "."
            )
        )
    notes += _notes_on_counts(found, counts, estimate)
    return notes


def _discoverability_note(estimate: DiscoverabilityEstimate, *, has_audit: bool) -> str:
    known = estimate.counts
    low, high = estimate.interval
    if not known.not_promoted:
        return "Everything was promoted: nothing could be missed."
    if estimate.is_exact:
        return "All rejected candidates were relaxed too: nothing is estimated."
    if known.audited:
        least, most = estimate.missed_interval
        return (
            f"Missed: about {estimate.missed:.0f} stable materials, {least} to {most}, from {known.audit_stable} "
            f"among {known.audited} audited of {known.not_promoted} rejected candidates."
        )
    if known.audit_open:
        return "No relaxation of the audit has finished yet, so missed materials cannot be estimated."
    if has_audit:
        return (
            f"The audit has not drawn any of the {known.not_promoted} rejected candidates so far, so missed materials "
            "cannot be estimated."
        )
    return (
        f"No audit: {known.stable} stable materials were found, but it is unknown how many of the "
        f"{known.not_promoted} rejected candidates are stable. The discoverability lies between {_number(low)} and "
        f"{_number(high)}; F1, prevalence, DAF and C_eff cannot be determined. For the next campaign, set policy.audit."
    )


def _notes_on_counts(
    found: CampaignMetrics, counts: CandidateCounts, estimate: DiscoverabilityEstimate
) -> Iterator[str]:
    failed = estimate.counts.promoted_failed + estimate.counts.audit_failed
    if failed:
        yield (
            f"{format_count(failed, 'failed relaxation')}: neither in the success ratio nor stable; the cost is "
            "included."
        )
    if counts.audit_refused:
        yield (
            f"Not relaxed because of the budget: {format_count(counts.audit_refused, 'candidate')} drawn for the "
            "audit; the interval allows for either outcome."
        )
    if counts.dos_failed:
        yield (
            f"No decision, because the IS-DOS failed: {format_count(counts.dos_failed, 'candidate')}, not included in "
            "any metric."
        )
    if found.costs.n_unknown:
        yield (
            f"Killed without a record of CPU-seconds: {format_count(found.costs.n_unknown, 'attempt')}; C_pre and "
            "C_opt do not include their cost."
        )


def sweep_table(sweep: SweepOfRelaxed) -> Table:
    """Return the best thresholds of a sweep as a table for the terminal."""
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
    """Return a note on the candidates covered by the sweep and its limits."""
    if not sweep.n_relaxed:
        return "No candidate that was decided on is relaxed yet, so thresholds cannot be compared."
    if not sweep.is_biased:
        return f"Over all {sweep.n_decided} candidates decided on: all are relaxed, so the comparison is fair."
    return (
        f"Over the {sweep.n_relaxed} relaxed of {sweep.n_decided} candidates decided on. These are mostly candidates "
        "promoted by the policy, so the comparison is biased towards it: thresholds looser than the policy's would "
        "promote candidates that were not relaxed, and discoverability, F1 and C_eff refer to the relaxed candidates "
        "only."
    )
