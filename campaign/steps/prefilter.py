"""Prefilter one batch: predict without a DOS, and reject candidates before their IS-DOS."""

import logging
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pymatgen.core import Composition

from campaign.attempts.ledger import attempt
from campaign.hull.hull import HullSet
from campaign.policies.decide import Decision, as_audited, audit_draw
from campaign.references.reference_sets import correction_scheme, load_hull
from campaign.scorers.base import Score, checked_scores
from campaign.spec.sections.prefilter import PrefilterSection
from campaign.steps.energies import in_scheme
from campaign.steps.scoring_context import StoredScoringContext
from campaign.store.campaigns import Campaign, OpenCampaign
from campaign.store.candidates import candidates_by_id
from campaign.store.collections import in_chunks, now
from campaign.store.documents import PrefilterDocument
from campaign.store.prefilter.prefiltered import ids_before_prefilter, write_prefiltered
from campaign.store.states import PREFILTER, CandidateState, PrefilterState
from campaign.store.steps import read_step
from launchers.database.settings import DatabaseSettings

logger = logging.getLogger(__name__)

#: Candidates written together; a killed process loses at most these, seconds of work each.
_AT_ONCE = 4
PASSED = "passed"


def prefilter_step(campaign: OpenCampaign, database: DatabaseSettings, step_id: str, *, fw_id: int) -> None:
    """Score a batch without DOS and reject candidates too far above the hull; the others then wait for their IS-DOS.

    The result of each candidate is written once, with its decision. A prefilter that is killed at any point and run
    again
    scores the remaining candidates, with the same result.
    """
    section, batch = campaign.spec.prefilter, read_step(campaign, step_id).batch
    if section is None or batch is None:
        raise ValueError(f"campaign {campaign.name!r} has no section prefilter, or {step_id} belongs to no batch")
    with attempt(campaign.store, campaign=campaign.name, stage=PREFILTER, fw_id=fw_id) as entry:
        context = StoredScoringContext(database=database, campaign=campaign, step_id=step_id, on_usage=entry.add_usage)
        ids, rejected = ids_before_prefilter(campaign, batch), 0
        if ids:
            with section.scorer.connected(context):
                scores = checked_scores(section.scorer.score(ids, context), ids)
                rejected = _write_all(campaign, section, step_id, scores)
        logger.info("campaign %s: prefilter: %d of %d candidates get no IS-DOS", campaign.name, rejected, len(ids))
        campaign.store.close_step(step_id)


def _write_all(campaign: Campaign, section: PrefilterSection, step_id: str, scores: Iterable[Score]) -> int:
    """Write the result of each candidate as it arrives; return the number of candidates without IS-DOS."""
    wanted = correction_scheme(campaign.store, campaign.reference_set)
    given = section.scorer.energy_corrections(campaign)
    hull = load_hull(campaign.store, campaign.reference_set)
    common: PrefilterDocument = {
        "state": PrefilterState.DONE,
        "scorer": section.scorer.identity(campaign),
        "reference_set": campaign.reference_set,
        "corrections": given and wanted,
        "step": step_id,
    }
    rejected = 0
    for part in in_chunks(scores, _AT_ONCE):
        campaign = campaign.refresh()  # `campaign set policy.audit` reaches a prefilter that is running
        converted = in_scheme(campaign, part, given=given, wanted=wanted)
        told = _told(campaign, section, converted, hull, common)
        decisions = {name: found["decision"] for name, found in told.items() if "decision" in found}
        # audited candidates get their IS-DOS, and are decided on by their Screen
        at_once = {name: decision for name, decision in decisions.items() if not decision["audit"]}
        for name in at_once:
            del told[name]["decision"]
        rejected += write_prefiltered(campaign, list(told.items()), at_once)
    return rejected


def _told(
    campaign: Campaign, section: PrefilterSection, scores: Sequence[Score], hull: HullSet, common: PrefilterDocument
) -> dict[str, PrefilterDocument]:
    found = candidates_by_id(campaign.store, [score.id for score in scores], ["composition"])
    energies = [math.nan if score.e_form is None else float(score.e_form) for score in scores]
    distances = hull.distances([Composition(found[score.id]["composition"]) for score in scores], energies)
    told: dict[str, PrefilterDocument] = {}
    for score, energy, distance in zip(scores, energies, distances, strict=True):
        deviation = None if score.e_form is None else section.deviation(score.uncertainty)
        verdict = section.verdict(float(distance), deviation, why_none=score.reason)
        audit = not verdict.promising and audit_draw(score.id, campaign.spec.seed) < campaign.spec.policy.audit
        document: PrefilterDocument = {
            **common,
            "e_form_per_atom": energy,
            "e_above_hull": float(distance),
            "uncertainty": deviation,
            "outcome": PASSED if verdict.promising else str(CandidateState.REJECTED),
            "audit": audit,
            "reason": verdict.reason,
            "time": now(),
        }
        if not verdict.promising:
            document["decision"] = _decision(campaign, section, score.id, document)
        told[score.id] = document
    return told


def _decision(campaign: Campaign, section: PrefilterSection, name: str, said: Mapping[str, Any]) -> dict[str, Any]:
    """Return the decision on a candidate that the prefilter rejects, with all data needed to reproduce it."""
    made = Decision(candidate=name, outcome="rejected", rank=None, reason=said["reason"])
    if said["audit"]:
        made = as_audited(made)
    return {
        "kind": PREFILTER,
        **made.to_dict(),
        "inputs": {field: said[field] for field in ("e_form_per_atom", "e_above_hull", "uncertainty")},
        "rule": {"z": section.z, "max_hull_energy": section.max_hull_energy},
        "policy": campaign.spec.policy.to_dict(),
        "seed": campaign.spec.seed,
        "model": None,
        "scorer": said["scorer"],
        "reference_set": said["reference_set"],
        "step": said["step"],
        "time": said["time"],
    }
