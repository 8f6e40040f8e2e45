"""How good a campaign's decisions were, as far as its relaxations show: the numbers of `campaign metrics`."""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from campaign.metrics.audit import AuditCounts, DiscoverabilityEstimate, estimate_discoverability
from campaign.metrics.measured_costs import MeasuredCosts, measured_costs
from campaign.metrics.metrics import Costs, Metrics, effective_cost, finite_or_none, metrics_of_counts, ratio
from campaign.policies.decide import audit_draw
from campaign.store.campaigns import Campaign
from campaign.store.collections import Document
from campaign.store.listings import all_candidates
from campaign.store.states import SCREENED, CandidateState
from campaign.views.metrics.sweep import SweepOfRelaxed, predicted_energies, sweep_relaxed

_FIELDS = [
    *("role", "state", "prediction.e_form_per_atom", "prediction.e_above_hull", "result.stable"),
    *("decision.promoted", "decision.audit", "decision.outcome", "decision.policy.audit"),
]


@dataclass(frozen=True, kw_only=True)
class CandidateCounts:
    """How many candidates of a campaign there are.

    Attributes
    ----------
    screened
        Candidates that are or will be screened; the training sample is none of them.
    training
        Candidates that train the model or make a training set: relaxed without a decision.
    decided
        Screened ones that were decided on: what all metrics are about.
    waiting
        Not decided yet.
    dos_failed
        IS-DOS failed for good: never decided on, so in no metric.
    without_prediction
        Decided on without a prediction: not promoted.
    promoted, held, rejected
        Of those decided on; held ones count as not promoted until the budget is raised.
    audited
        Of those not promoted, relaxed or to be relaxed for the audit.
    audit_refused
        Of those not promoted, drawn for the audit, but the budget did not allow it.
    """

    screened: int
    training: int
    decided: int
    waiting: int
    dos_failed: int
    without_prediction: int
    promoted: int
    held: int
    rejected: int
    audited: int
    audit_refused: int


@dataclass(frozen=True, kw_only=True)
class CampaignMetrics:
    """Metrics of a campaign as it stands.

    Attributes
    ----------
    name, purpose
        The campaign.
    candidates
        How many there are.
    n_results, n_stable
        Candidates of any role with a DFT result, and the stable ones among them.
    costs
        Mean costs, measured.
    metrics
        Of the candidates decided on, FN estimated from the audit; while relaxations are open TP and FP are scaled up
        to all that are promoted. None where nothing was decided.
    estimate
        Discoverability with its interval; None likewise.
    c_eff_interval
        C_eff at both ends of that interval, CPU-s, infinite where discoverability may be 0; None likewise.
    sweep
        Only where asked for.
    """

    name: str
    purpose: str
    candidates: CandidateCounts
    n_results: int
    n_stable: int
    costs: MeasuredCosts
    metrics: Metrics | None
    estimate: DiscoverabilityEstimate | None
    c_eff_interval: tuple[float, float] | None
    sweep: SweepOfRelaxed | None

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON takes it: None where a number is undefined, unknown or infinite."""
        interval = self.c_eff_interval
        return {
            "name": self.name,
            "purpose": self.purpose,
            "candidates": asdict(self.candidates),
            "n_results": self.n_results,
            "n_stable": self.n_stable,
            "costs": self.costs.to_dict(),
            "metrics": self.metrics and self.metrics.to_dict(),
            "audit": self.estimate and self.estimate.to_dict(),
            "c_eff_interval": interval and [finite_or_none(value) for value in interval],
            "sweep": self.sweep and self.sweep.to_dict(),
        }


def campaign_metrics(
    campaign: Campaign, *, confidence: float = 0.95, sweep: bool = False, cpu_hours: float | None = None
) -> CampaignMetrics:
    """Measure a campaign's decisions; it is only read.

    Parameters
    ----------
    confidence
        Nominal confidence of the interval for the discoverability.
    sweep
        Also say what other thresholds would have done to the candidates that are relaxed.
    cpu_hours
        Budget for the sweep's third optimum, CPU-hours.
    """
    documents = all_candidates(campaign, _FIELDS)
    counts = _candidate_counts(documents, seed=campaign.spec.seed)
    measured = measured_costs(campaign)
    decided = [document for document in documents if _is_decided(document)]
    metrics = estimate = interval = None
    if decided:
        estimate = estimate_discoverability(_audit_counts(decided, counts), confidence=confidence)
        metrics = _metrics(estimate, counts, measured.costs)
        low, high = estimate.interval
        cheapest, dearest = effective_cost(metrics.ppcr, [high, low], measured.costs)
        interval = float(cheapest), float(dearest)
    results = _results(documents)
    return CampaignMetrics(
        name=campaign.name,
        purpose=campaign.spec.purpose,
        candidates=counts,
        n_results=len(results),
        n_stable=sum(results),
        costs=measured,
        metrics=metrics,
        estimate=estimate,
        c_eff_interval=interval,
        sweep=sweep_relaxed(decided, measured.costs, cpu_hours=cpu_hours) if sweep and decided else None,
    )


def _is_decided(document: Document) -> bool:
    return document["role"] == SCREENED and bool(document.get("decision"))


def _is_promoted(document: Document) -> bool:
    return bool(document["decision"]["promoted"])


def _is_audited(document: Document) -> bool:
    return not _is_promoted(document) and bool(document["decision"].get("audit"))


def _was_refused(document: Document, seed: int) -> bool:
    """Whether it was drawn for the audit (the draw depends on its id alone) and the budget did not allow it."""
    share = (document["decision"].get("policy") or {}).get("audit", 0.0)
    drawn = share > 0.0 and audit_draw(document["_id"], seed) < share
    return drawn and not _is_promoted(document) and not _is_audited(document)


def _candidate_counts(documents: Sequence[Document], *, seed: int) -> CandidateCounts:
    screened = [document for document in documents if document["role"] == SCREENED]
    decided = [document for document in screened if _is_decided(document)]
    promoted = sum(_is_promoted(document) for document in decided)
    held = sum(not _is_promoted(document) and document["decision"].get("outcome") == "held" for document in decided)
    dos_failed = sum(document["state"] == CandidateState.DOS_FAILED for document in screened)
    return CandidateCounts(
        screened=len(screened),
        training=len(documents) - len(screened),
        decided=len(decided),
        waiting=len(screened) - len(decided) - dos_failed,
        dos_failed=dos_failed,
        without_prediction=sum(
            any(math.isnan(value) for value in predicted_energies(document)) for document in decided
        ),
        promoted=promoted,
        held=held,
        rejected=len(decided) - promoted - held,
        audited=sum(_is_audited(document) for document in decided),
        audit_refused=sum(_was_refused(document, seed) for document in decided),
    )


def _audit_counts(decided: Sequence[Document], counts: CandidateCounts) -> AuditCounts:
    promoted = [document for document in decided if _is_promoted(document)]
    audited = [document for document in decided if _is_audited(document)]
    ended, stable, failed = _ended(promoted)
    audit_ended, audit_stable, audit_failed = _ended(audited)
    return AuditCounts(
        stable=stable,
        promoted_ended=ended,
        promoted_failed=failed,
        promoted_open=len(promoted) - ended,
        not_promoted=len(decided) - len(promoted),
        audited=audit_ended,
        audit_stable=audit_stable,
        audit_failed=audit_failed,
        # a sample is random only with all that were drawn: what the budget refused stays unknown
        audit_open=len(audited) - audit_ended + counts.audit_refused,
    )


def _ended(documents: Sequence[Document]) -> tuple[int, int, int]:
    """How many relaxations have ended, found something stable, failed."""
    failed = sum(document["state"] == CandidateState.RELAX_FAILED for document in documents)
    results = _results(documents)
    return len(results) + failed, sum(results), failed


def _results(documents: Sequence[Document]) -> list[bool]:
    """Whether each of those that have a result is stable."""
    found = [(document.get("result") or {}).get("stable") for document in documents]
    return [bool(stable) for stable in found if stable is not None]


def _metrics(estimate: DiscoverabilityEstimate, counts: CandidateCounts, costs: Costs) -> Metrics:
    """Metrics of all that were decided on, with the estimates in place of what is not known."""
    known = estimate.counts
    unstable = known.promoted_ended - known.promoted_failed - known.stable
    scale = float(ratio(counts.promoted, known.promoted_ended)) if known.promoted_open else 1.0
    return metrics_of_counts(
        n_candidates=counts.decided,
        n_promoted=counts.promoted,
        tp=estimate.expected_stable,
        # nothing has ended: unknown, not infinite
        fp=unstable * scale if math.isfinite(scale) else math.nan,
        fn=estimate.missed,
        costs=costs,
        n_audited=counts.audited,
    )
