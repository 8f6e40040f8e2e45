"""Predictions and decisions in the form stored in a candidate's document."""

import math
from collections.abc import Mapping
from typing import Any

from campaign.policies.base import Prediction
from campaign.policies.decide import Decision
from campaign.store.campaigns import Campaign
from campaign.store.collections import now
from campaign.store.states import PERSON, PREFILTER, CandidateState


def is_persons(decision: Mapping[str, Any] | None) -> bool:
    """Whether a stored decision is a person's, not a policy's."""
    return (decision or {}).get("kind") == PERSON


def is_prefilters(decision: Mapping[str, Any] | None) -> bool:
    """Whether a stored decision is the prefilter's, i.e. on a candidate that it rejects, audited or not."""
    return (decision or {}).get("kind") == PREFILTER


def policy_decision(document: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return the latest decision of a policy or the prefilter, even if persons decided after it; or None.

    For a candidate that the prefilter rejects and the audit draws, the decision is made before the IS-DOS and written
    by
    its Screen; until then it is stored in ``prefilter.decision``.
    """
    made = [*(document.get("previous_decisions") or []), document.get("decision") or None]
    found = next((decision for decision in reversed(made) if decision and not is_persons(decision)), None)
    waits = document.get("state") != CandidateState.DOS_FAILED
    return found or ((document.get("prefilter") or {}).get("decision") if waits else None)


def prediction_of(document: Mapping[str, Any]) -> Prediction:
    """Return the prediction stored in a candidate's document."""
    stored, before = document["prediction"], document.get("prefilter") or {}
    return Prediction(
        id=document["_id"],
        e_form=_number(stored["e_form_per_atom"]),
        e_hull=_number(stored["e_above_hull"]),
        uncertainty=stored.get("uncertainty"),
        novel=stored.get("novel"),
        relax_cpu_s=float(stored.get("relax_cpu_s") or 0.0),
        prefiltered=before["reason"] if before.get("outcome") == CandidateState.REJECTED else None,
    )


def _number(value: float | None) -> float:
    return math.nan if value is None else float(value)


def decision_document(
    decision: Decision, prediction: Prediction, campaign: Campaign, document: Mapping[str, Any], *, step_id: str
) -> dict[str, Any]:
    """Return a decision with all data needed to reproduce it.

    Parameters
    ----------
    document
        The candidate's document; scorer and reference set are taken from its prediction.
    step_id
        The step that decided.
    """
    said = document["prediction"]
    return {
        **({} if prediction.prefiltered is None else {"kind": PREFILTER}),
        **decision.to_dict(),
        "reason": f"{decision.reason}{_corrected_by(said)}",
        "inputs": {
            "e_form_per_atom": prediction.e_form,  # eV/atom
            "e_above_hull": prediction.e_hull,  # eV/atom
            "uncertainty": prediction.uncertainty,  # eV/atom
            "novel": prediction.novel,
            "relax_cpu_s": prediction.relax_cpu_s,  # CPU-s; the decision has the cost still to pay
        },
        "policy": campaign.spec.policy.to_dict(),
        "seed": campaign.spec.seed,
        "model": said.get("model"),
        "scorer": said.get("scorer"),
        **({"recalibration": said["recalibration"]} if "recalibration" in said else {}),
        "reference_set": said.get("reference_set"),
        "step": step_id,
        "time": now(),
    }


def _corrected_by(prediction: Mapping[str, Any]) -> str:
    """Return a text on the fit that corrected the prediction; empty without one."""
    used, raw = prediction.get("recalibration"), prediction.get("raw")
    if not used or not raw:
        return ""
    before, after = raw["e_form_per_atom"], prediction["e_form_per_atom"]
    return f"; E_f(ML) {before:+.3f} corrected to {after:+.3f} eV/atom by {used['step']}, of {used['n']} relaxed"
