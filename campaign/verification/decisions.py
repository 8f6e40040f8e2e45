"""Check that decisions agree with their predictions and policy, and results with the campaign's limits."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import chain
from typing import Any

from campaign.budget.decision_document import is_persons, is_prefilters, prediction_of
from campaign.policies.base import Policy
from campaign.policies.decide import audit_draw
from campaign.policies.prefilter import prefilter_verdict
from campaign.store.campaigns import Campaign
from campaign.store.changes.settings import policies_in_force
from campaign.store.states import BEFORE_SCREEN, SCREENED, CandidateState, PrefilterState
from campaign.store.usage import SENT_TO_RELAXATION
from campaign.verification.finding import Finding

_DECISION = "decisions agree with predictions, policy and states"
_REFERENCES = "everything is held against the one frozen reference set"
_RESULT = "relaxed candidates have results that agree with the limits for stable"
_INPUTS = ("e_form_per_atom", "e_above_hull", "uncertainty", "novel")


def check_decision(campaign: Campaign, document: Mapping[str, Any], steps: Mapping[str, Any]) -> Iterator[Finding]:
    """Yield findings on the prediction and decision of one candidate, see `campaign.store.integrity.structures`.

    Parameters
    ----------
    steps
        The campaign's steps, by id.
    """
    name, state = document["_id"], document.get("state")
    prediction, decision = document.get("prediction") or None, document.get("decision") or None

    def wrong(problem: str) -> Finding:
        return Finding(
            check=_DECISION, subject=name, problem=problem, remedy=f"campaign explain {campaign.name} {name}"
        )

    if document.get("role") != SCREENED:
        if prediction or decision:
            yield wrong(f"its role is {document.get('role')}, and it has a prediction or a decision")
        return
    if prediction is not None:
        yield from map(wrong, _wrong_prediction(campaign, prediction, steps))
    if decision is None:
        decided = state in (*SENT_TO_RELAXATION, CandidateState.REJECTED)
        if decided or (state == CandidateState.HELD and prediction is not None):
            yield wrong(f"its state is {state}, and nothing was decided on it")
        return
    if is_persons(decision):
        yield from map(wrong, _wrong_person_decision(decision, state))
        return
    if prediction is None and is_prefilters(decision):
        yield from map(wrong, _wrong_prefilter_decision(document["prefilter"], decision, state, steps))
        return
    if prediction is None:
        yield wrong("it has a decision and no prediction")
        return
    if expected := _state_expected(decision, state):
        yield wrong(f"its decision is {_said(decision)}, and its state is {state}; right: {expected}")
    yield from map(wrong, _wrong_decision(campaign, document, prediction, decision, steps))


def _said(decision: Mapping[str, Any]) -> str:
    return f"{decision.get('outcome')}{' and audited' if decision.get('audit') else ''}"


def _state_expected(decision: Mapping[str, Any], state: str | None) -> str | None:
    """Return the states that a decision allows; None if the state is one of them."""
    if decision.get("promoted") or decision.get("audit"):
        return None if state in SENT_TO_RELAXATION else ", ".join(SENT_TO_RELAXATION)
    right = CandidateState.HELD if decision.get("outcome") == "held" else CandidateState.REJECTED
    return None if state == right else right


#: States before the end of an IS-DOS that was running when a person decided.
_BEFORE_ITS_TURN = (*BEFORE_SCREEN, CandidateState.DOS_DONE, CandidateState.DOS_FAILED)


def _wrong_person_decision(decision: Mapping[str, Any], state: str | None) -> Iterator[str]:
    outcome = str(decision.get("outcome"))
    allowed = {
        "promoted": (*SENT_TO_RELAXATION, *_BEFORE_ITS_TURN),
        "held": (CandidateState.HELD,),
        "rejected": (CandidateState.REJECTED, *_BEFORE_ITS_TURN),
    }.get(outcome, ())
    if state not in allowed:
        right = ", ".join(allowed) or "promoted, held or rejected"
        yield f"a person's decision is {outcome}, and its state is {state}; right: {right}"
    if bool(decision.get("promoted")) != (outcome == "promoted"):
        yield f"decision.promoted is {decision.get('promoted')}, and decision.outcome is {outcome}"
    if missing := [field for field in ("user", "said", "time") if not decision.get(field)]:
        yield f"a person decided on it, and {' and '.join(f'decision.{field}' for field in missing)} is missing"


def _wrong_prefilter_decision(
    said: Mapping[str, Any], decision: Mapping[str, Any], state: str | None, steps: Mapping[str, Any]
) -> Iterator[str]:
    """Yield the problems of a decision made before the IS-DOS."""
    if state != CandidateState.REJECTED or decision.get("promoted") or decision.get("audit"):
        yield f"the prefilter's decision is {_said(decision)}, and its state is {state}; right: rejected in both"
    if decision.get("step") not in steps:
        yield f"its decision is by the step {decision.get('step')!r}, which is not there"
    if said.get("reference_set") != decision.get("reference_set"):
        yield "its decision and what the prefilter says of it name different values of reference_set"
    if prefilter_verdict(said.get("e_above_hull"), said.get("uncertainty"), **decision["rule"]).promising:
        yield f"the prefilter's decision is {_said(decision)}, and by its rule it gets an IS-DOS"


def _wrong_prediction(campaign: Campaign, prediction: Mapping[str, Any], steps: Mapping[str, Any]) -> Iterator[str]:
    if prediction.get("step") not in steps:
        yield f"its prediction is by the step {prediction.get('step')!r}, which is not there"
    models = {model["checksum"] for model in campaign.document.get("models") or []}
    model = prediction.get("model")
    if model is not None and models and model not in models:
        yield f"its prediction is by the model {model[:12]}, which the campaign never had"


def _wrong_decision(
    campaign: Campaign,
    document: Mapping[str, Any],
    prediction: Mapping[str, Any],
    decision: Mapping[str, Any],
    steps: Mapping[str, Any],
) -> Iterator[str]:
    for field in ("model", "reference_set"):
        if decision.get(field) != prediction.get(field):
            yield f"its decision and its prediction name different values of {field}"
    inputs = decision.get("inputs") or {}
    for field in _INPUTS:
        if field in inputs and not _equal(inputs[field], prediction.get(field)):
            yield f"decision.inputs.{field} is {inputs[field]}, and prediction.{field} is {prediction.get(field)}"
            return
    by = decision.get("step")
    if by not in steps and by not in [f"{campaign.name}/{what}" for what in ("release", "launch", "redecide")]:
        yield f"its decision is by the step {by!r}, which is not there"
    policy = _policy_of(campaign, decision.get("policy") or {})
    if policy is None:
        yield "its decision was made by another policy than the campaign's"
        return
    outcome, audit = decision.get("outcome"), bool(decision.get("audit"))
    if bool(decision.get("promoted")) != (outcome == "promoted"):
        yield f"decision.promoted is {decision.get('promoted')}, and decision.outcome is {outcome}"
    # the expected cost may have changed; inputs of earlier versions' decisions have none
    cost = inputs.get("relax_cpu_s", decision.get("relax_cpu_s"))
    predicted = replace(prediction_of(document), relax_cpu_s=float(cost or 0.0))
    promising = predicted.is_known and policy.judge(predicted).promising
    if promising != (outcome in ("promoted", "held")):
        wants = "wants" if promising else "does not want"
        yield f"its decision is {_said(decision)}, and the policy {wants} it relaxed"
    if audit and not audit_draw(document["_id"], int(decision.get("seed") or 0)) < policy.audit:
        yield "it is audited, and was not drawn for the audit"


def _earlier_policies(campaign: Campaign) -> Iterator[Policy]:
    yield from reversed(policies_in_force(campaign))


def _policy_of(campaign: Campaign, stored: Mapping[str, Any]) -> Policy | None:
    """Return the latest policy in force that matches that of a decision, or None."""
    # called for every candidate, so earlier policies are only built for decisions not made by the present one
    for policy in chain([campaign.spec.policy], _earlier_policies(campaign)):
        settings = policy.to_dict()
        # settings of later versions are missing from old decisions
        if all(key not in settings or settings[key] == value for key, value in stored.items()):
            return policy
    return None


def _equal(first: Any, second: Any) -> bool:
    if isinstance(first, float) and isinstance(second, float) and math.isnan(first) and math.isnan(second):
        return True
    # a missing prediction is NaN in one and may be null in the other
    none = {None if isinstance(value, float) and math.isnan(value) else value for value in (first, second)}
    return len(none) == 1


def check_reference_set(campaign: Campaign, document: Mapping[str, Any]) -> Iterator[Finding]:
    """Yield findings on the reference sets named by a candidate's prediction, decision and result."""
    frozen = campaign.document.get("reference_set")
    # phases added later have other elements, so the hulls of earlier candidates are the same
    accepted = {frozen, *(campaign.document.get("previous_reference_sets") or [])}
    for part in ("prefilter", "prediction", "decision", "result"):
        if part == "prefilter" and (document.get(part) or {}).get("state") == PrefilterState.NEW:
            continue
        named = (document.get(part) or {}).get("reference_set")
        # a person's decision refers to no reference set
        if document.get(part) and not is_persons(document[part]) and named not in accepted:
            yield Finding(
                check=_REFERENCES,
                subject=document["_id"],
                problem=f"its {part} is against the set {str(named)[:12]}, the campaign's is {str(frozen)[:12]}",
                remedy=f"campaign explain {campaign.name} {document['_id']}",
            )


def check_result(
    campaign: Campaign, document: Mapping[str, Any], elemental_energies: Mapping[str, float] | None
) -> Iterator[Finding]:
    """Yield findings on the result of a relaxed candidate.

    Parameters
    ----------
    elemental_energies
        Energies of the elements in the frozen reference set, eV/atom; None if it contains corrections or cannot be
        read, so that formation energies are not recomputed.
    """
    result, relaxed = document.get("result") or None, document.get("state") == CandidateState.RELAXED

    def wrong(problem: str) -> Finding:
        return Finding(
            check=_RESULT, subject=document["_id"], problem=problem, remedy=f"campaign reconcile {campaign.name}"
        )

    if result is None:
        if relaxed and campaign.document.get("reference_set") is not None and not document.get("correction_error"):
            yield wrong("it is relaxed, and has neither a result nor a reason why it can have none")
        return
    if not relaxed:
        yield wrong(f"it has a result, and its state is {document.get('state')}")
        return
    e_form, e_hull = result["e_form_per_atom"], result["e_above_hull"]
    limits = campaign.spec.stable
    stable = e_form <= limits.max_formation_energy and e_hull <= limits.max_hull_energy
    if stable != result["stable"]:
        yield wrong(f"stable is {result['stable']} at E_f = {e_form:.4f} and E_hull = {e_hull:.4f} eV/atom")
    energy = (document.get("relaxation") or {}).get("energy")
    if elemental_energies is None or not isinstance(energy, float):
        return
    composition = document["composition"]
    of_elements = sum(number * elemental_energies[symbol] for symbol, number in composition.items())
    again = (energy - of_elements) / sum(composition.values())
    if abs(again - e_form) > 1e-6:
        yield wrong(f"E_f = {e_form:.6f} eV/atom, and its energy gives {again:.6f}")
