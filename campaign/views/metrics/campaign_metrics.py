"""Quality of a campaign's decisions as measured by its relaxations: the numbers of `campaign metrics`."""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from campaign.budget.decision_document import is_persons, is_prefilters, policy_decision
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
    *(
        f"{where}.{field}"
        for where in ("decision", "previous_decisions", "prefilter.decision")
        for field in ("kind", "promoted", "audit", "outcome", "policy.audit")
    ),
    *("prefilter.outcome", "is_dos.fw_id", "is_dos.reused_from.campaign"),
]


@dataclass(frozen=True, kw_only=True)
class CandidateCounts:
    """Numbers of a campaign's candidates.

    Attributes
    ----------
    screened
        Candidates that are or will be screened; the training sample is none of them.
    training
        Candidates that train the model or make a training set: relaxed without a decision.
    decided
        Screened ones that the policy decided on: what all metrics are about. What a person decided later counts as the
        policy decided it.
    waiting
        Not decided yet, by the policy or a person.
    dos_failed
        IS-DOS failed permanently: never decided on, so in no metric.
    without_prediction
        Decided on by a Screen without a prediction: not promoted.
    promoted, held, rejected
        Of those decided on; held ones count as not promoted until the budget is raised.
    audited
        Of those not promoted, relaxed or to be relaxed for the audit.
    audit_refused
        Of those not promoted, drawn for the audit, but the budget did not allow it.
    by_person, person_stable
        Promoted by a person, and those of them that are known to be stable: in no metric.
    rejected_by_person
        Rejected by a person; those that the policy had promoted stay open.
    before_dos
        Of those rejected, the ones that the prefilter rejected and no Screen has predicted: they have no IS-DOS, or
        the audit's is still to come.
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
    by_person: int = 0
    person_stable: int = 0
    rejected_by_person: int = 0
    before_dos: int = 0


@dataclass(frozen=True, kw_only=True)
class CampaignMetrics:
    """Metrics of a campaign in its current state.

    Attributes
    ----------
    name, purpose
        The campaign.
    has_audit
        Whether its policy audits or has audited, so that missed discoveries can still become known.
    candidates
        Numbers of candidates.
    n_results, n_stable
        Candidates of any role with a DFT result, and the stable ones among them.
    costs
        Mean costs, measured.
    metrics
        Of the candidates decided on, FN estimated from the audit; while relaxations are open TP and FP are scaled up
        to all that are promoted. None if nothing was decided.
    estimate
        Discoverability with its interval; None likewise.
    c_eff_interval
        C_eff at both ends of that interval, CPU-s, infinite where discoverability may be 0; None likewise.
    sweep
        None unless requested.
    """

    name: str
    purpose: str
    has_audit: bool
    candidates: CandidateCounts
    n_results: int
    n_stable: int
    costs: MeasuredCosts
    metrics: Metrics | None
    estimate: DiscoverabilityEstimate | None
    c_eff_interval: tuple[float, float] | None
    sweep: SweepOfRelaxed | None

    def to_dict(self) -> dict[str, Any]:
        """Return the metrics as JSON types: None if a number is undefined, unknown or infinite."""
        interval = self.c_eff_interval
        return {
            "name": self.name,
            "purpose": self.purpose,
            "has_audit": self.has_audit,
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
    """Return the metrics of a campaign's decisions; the campaign is not changed.

    Parameters
    ----------
    confidence
        Nominal confidence of the interval for the discoverability.
    sweep
        Also evaluate other thresholds on the relaxed candidates.
    cpu_hours
        Budget for the sweep's third optimum, CPU-hours.
    """
    documents = all_candidates(campaign, _FIELDS)
    by_persons = [document for document in documents if is_persons(document.get("decision"))]
    # metrics are of the policy: a person chose with an eye on more than the policy sees, and drew no random sample
    documents = [
        document
        if document.get("decision") and not is_persons(document["decision"])
        else {**document, "decision": policy_decision(document)}
        for document in documents
    ]
    counts = _candidate_counts(documents, by_persons, seed=campaign.spec.seed)
    measured = measured_costs(campaign)
    decided = [document for document in documents if _is_decided(document)]
    metrics = estimate = interval = None
    if decided:
        estimate = estimate_discoverability(_audit_counts(decided, seed=campaign.spec.seed), confidence=confidence)
        metrics = _metrics(estimate, counts, measured.costs)
        low, high = estimate.interval
        cheapest, dearest = effective_cost(metrics.ppcr, [high, low], measured.costs)
        interval = float(cheapest), float(dearest)
    results = _results(documents)
    return CampaignMetrics(
        name=campaign.name,
        purpose=campaign.spec.purpose,
        has_audit=bool(campaign.spec.policy.audit) or any(_audit_share(document) for document in decided),
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
    """Whether a candidate was drawn for the audit (the draw depends on its id alone) but refused by the budget."""
    share = _audit_share(document)
    drawn = share > 0.0 and audit_draw(document["_id"], seed) < share
    return drawn and not _is_promoted(document) and not _is_audited(document)


def _candidate_counts(documents: Sequence[Document], by_persons: Sequence[Document], *, seed: int) -> CandidateCounts:
    screened = [document for document in documents if document["role"] == SCREENED]
    decided = [document for document in screened if _is_decided(document)]
    promoted = sum(_is_promoted(document) for document in decided)
    held = sum(not _is_promoted(document) and document["decision"].get("outcome") == "held" for document in decided)
    dos_failed = sum(document["state"] == CandidateState.DOS_FAILED for document in screened)
    chosen = [document for document in by_persons if document["decision"]["outcome"] != CandidateState.REJECTED]
    persons_alone = sum(
        policy_decision(document) is None and document["state"] != CandidateState.DOS_FAILED for document in by_persons
    )
    before_dos = [each for each in decided if is_prefilters(each["decision"]) and not each.get("prediction")]
    unknown = sum(any(math.isnan(value) for value in predicted_energies(document)) for document in decided)
    return CandidateCounts(
        screened=len(screened),
        training=len(documents) - len(screened),
        decided=len(decided),
        waiting=len(screened) - len(decided) - dos_failed - persons_alone,
        dos_failed=dos_failed,
        without_prediction=unknown - len(before_dos),
        promoted=promoted,
        held=held,
        rejected=len(decided) - promoted - held,
        audited=sum(_is_audited(document) for document in decided),
        audit_refused=sum(_was_refused(document, seed) for document in decided),
        by_person=len(chosen),
        person_stable=sum(_results(chosen)),
        rejected_by_person=len(by_persons) - len(chosen),
        before_dos=len(before_dos),
    )


def _audit_counts(decided: Sequence[Document], *, seed: int) -> AuditCounts:
    promoted = [document for document in decided if _is_promoted(document)]
    others = [document for document in decided if not _is_promoted(document)]
    # where the share was changed on the way, the smallest is that of a random sample of all of them
    share = min((_audit_share(document) for document in others), default=0.0)
    is_changed = any(_audit_share(document) != share for document in others)
    # a sample is random only with all that were drawn: what the budget refused stays unknown
    drawn = [
        document
        for document in others
        if (_is_audited(document) or _was_refused(document, seed))
        and not (is_changed and audit_draw(document["_id"], seed) >= share)
    ]
    ended, stable, failed = _ended(promoted)
    audit_ended, audit_stable, audit_failed = _ended(drawn)
    in_sample = {document["_id"] for document in drawn}
    known_ended, known_stable, _ = _ended([document for document in others if document["_id"] not in in_sample])
    return AuditCounts(
        stable=stable,
        promoted_ended=ended,
        promoted_failed=failed,
        promoted_open=len(promoted) - ended,
        not_promoted=len(others),
        audited=audit_ended,
        audit_stable=audit_stable,
        audit_failed=audit_failed,
        audit_open=len(drawn) - audit_ended,
        known_stable=known_stable,
        known_unstable=known_ended - known_stable,
    )


def _audit_share(document: Document) -> float:
    return float((document["decision"].get("policy") or {}).get("audit", 0.0))


def _ended(documents: Sequence[Document]) -> tuple[int, int, int]:
    """Return the numbers of ended, successful and failed relaxations."""
    failed = sum(document["state"] == CandidateState.RELAX_FAILED for document in documents)
    results = _results(documents)
    return len(results) + failed, sum(results), failed


def _results(documents: Sequence[Document]) -> list[bool]:
    """Return the stability of those that have a result."""
    found = [(document.get("result") or {}).get("stable") for document in documents]
    return [bool(stable) for stable in found if stable is not None]


def _metrics(estimate: DiscoverabilityEstimate, counts: CandidateCounts, costs: Costs) -> Metrics:
    """Return the metrics of all candidates decided on, with estimates for unknown values."""
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
