"""Known data for a replay, from the predictions and relaxations of a stored campaign."""

import math
from collections.abc import Mapping
from typing import Any

from campaign.policies.cost_model import PUBLISHED_DOS_CPU_S, PUBLISHED_RELAX_CPU_S, valence_electrons
from campaign.replay.candidate import KnownCandidate
from campaign.replay.data import ReplayData, ReplayDataError
from campaign.store.campaigns import Campaign
from campaign.store.listings import predicted_candidates
from campaign.store.states import CampaignState, CandidateState
from campaign.store.usage import cpu_seconds_by_document

_FIELDS = ["state", "composition", "n_sites", "prediction", "result", "final_failure.stage"]


def read_replay_campaign(campaign: Campaign) -> ReplayData:
    """Read the candidates of a (finished) campaign that have a prediction and whose relaxation has ended.

    Costs are those of the ledger over all attempts, or the paper's means if unknown.

    Raises
    ------
    ReplayDataError
        If no candidate with a prediction has been relaxed.
    """
    source = f"campaign {campaign.name}"
    predicted = predicted_candidates(campaign, _FIELDS)
    known = [document for document in predicted if document.get("result") or _relaxation_failed(document)]
    if not known:
        raise ReplayDataError(
            source,
            [
                f"{len(predicted)} candidates have a prediction, but none of them is relaxed; right: a campaign that "
                f"has relaxed some of its predicted candidates (`campaign status {campaign.name}`)"
            ],
        )
    costs = {stage: cpu_seconds_by_document(campaign, stage=stage) for stage in ("dos", "relax")}
    notes = _notes(len(predicted), len(known), campaign.document["state"])
    without = sum(not of_stage.get(document["_id"]) for document in known for of_stage in costs.values())
    if without:
        notes.append(f"{without} costs are not in the ledger; the paper's means are used instead")
    return ReplayData(
        candidates=tuple(_candidate(document, costs) for document in known),
        source=source,
        notes=tuple(notes),
        stable=campaign.spec.stable,
    )


def _relaxation_failed(document: Mapping[str, Any]) -> bool:
    return bool(document["state"] == CandidateState.RELAX_FAILED)


def _notes(n_predicted: int, n_known: int, state: str) -> list[str]:
    notes = []
    if left_out := n_predicted - n_known:
        notes.append(
            f"{left_out} of {n_predicted} predicted candidates were left out: they are not relaxed, so their true "
            "energies are unknown. The others were chosen by the campaign's own policy (and its audit): this replay "
            "is biased towards that policy, and does not show what the policy missed"
        )
    if state != CampaignState.FINISHED:
        notes.append(f"the campaign is not finished ({state}): later relaxations are not in this replay")
    return notes


def _candidate(document: Mapping[str, Any], costs: Mapping[str, Mapping[str, float]]) -> KnownCandidate:
    prediction, result = document["prediction"], document.get("result") or {}
    return KnownCandidate(
        id=document["_id"],
        e_form_ml=float(prediction["e_form_per_atom"]),
        e_hull_ml=float(prediction["e_above_hull"]),
        uncertainty=prediction.get("uncertainty"),
        novel=prediction.get("novel"),
        e_form=float(result.get("e_form_per_atom", math.nan)),
        e_hull=float(result.get("e_above_hull", math.nan)),
        composition=document["composition"],
        n_sites=int(document["n_sites"]),
        n_electrons=valence_electrons(document["composition"]),
        dos_cpu_s=costs["dos"].get(document["_id"]) or PUBLISHED_DOS_CPU_S,
        relax_cpu_s=costs["relax"].get(document["_id"]) or PUBLISHED_RELAX_CPU_S,
        relaxation_failed=_relaxation_failed(document),
    )
