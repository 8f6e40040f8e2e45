"""Explanation of why a candidate was promoted, rejected or held, with all inputs of the decision."""

import math
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from campaign.budget.decision_document import is_persons, is_prefilters, prediction_of
from campaign.combination.correlation import Correlation
from campaign.policies.base import Policy
from campaign.policies.prefilter import prefilter_verdict
from campaign.policies.registry import make_policy
from campaign.scorers.base import identity_text
from campaign.spec.given import AS_GIVEN
from campaign.steps.energies import single_point_energies
from campaign.store.campaigns import Campaign
from campaign.store.listings import read_firework_state
from campaign.store.states import SCREENED, STAGES, CandidateState, PrefilterState
from campaign.store.usage import cpu_seconds_by_document
from campaign.views.near_threshold import near_threshold, what_to_do
from campaign.views.results import dos_changed
from campaign.views.reused import reused_from


def explanation(campaign: Campaign, document: Mapping[str, Any]) -> dict[str, Any]:
    """Return everything stored about a candidate's decisions as JSON types (times as text)."""
    keys = ("_id", "campaign", "formula", "prototype", "parent", "role", "state", "prefilter", "prediction", "decision")
    told: dict[str, Any] = {key: document.get(key) for key in keys}
    told["previous_decisions"] = document.get("previous_decisions", [])
    told["is_dos_changed"] = dos_changed(document)
    told["unrelaxed_e_form_per_atom"] = _unrelaxed_energy(campaign, document)
    told["result"] = document.get("result")
    told["final_failure"] = document.get("final_failure")
    told["reused_from"] = {title: dict(origin) for title, origin in reused_from(document)}
    told["history"] = document["history"]
    told["cpu_s"] = cpu_seconds_by_document(campaign, documents=[document["_id"]]).get(document["_id"], 0.0)
    told["made_again"] = _made_again(document)
    told["calculation"] = _calculation(campaign, document)
    told["near_threshold"] = near_threshold(document, campaign.spec.policy)
    told["policy_changed"] = _policy_changed(campaign, document.get("decision"))
    content: dict[str, Any] = _as_json(told)
    return content


def _unrelaxed_energy(campaign: Campaign, document: Mapping[str, Any]) -> float | None:
    """Return the formation energy of the unrelaxed crystal by its IS-DOS calculation, eV/atom; None if unknown."""
    if document["role"] != SCREENED or campaign.document.get("reference_set") is None:
        return None
    (found,) = single_point_energies(campaign, [document["_id"]])
    return found.e_form


#: What a submitted calculation does in each state of its firework.
_DOES = {
    "READY": "waits for a worker",
    "WAITING": "waits for a worker",
    "RESERVED": "waits in a scheduler's queue",
    "PAUSED": "is paused",
    "RUNNING": "is running",
    "COMPLETED": "has ended and is being recorded",
    "FIZZLED": "has failed and is being recorded",
}


def _calculation(campaign: Campaign, document: Mapping[str, Any]) -> str | None:
    """Return what the submitted calculation of a candidate is doing: its state alone does not tell running from queued;
    None without one.
    """
    stage = next((stage for stage in STAGES.values() if document["state"] == stage.running), None)
    if stage is None:
        return None
    found = read_firework_state(campaign.store, (document.get(stage.fields) or {}).get("fw_id"))
    return f"its {stage.title} {_DOES.get(found or '', f'has a firework in the state {found}')}"


def _policy_changed(campaign: Campaign, decision: Mapping[str, Any] | None) -> str | None:
    """Return how the policy in force differs from that of a decision, or None if it does not."""
    if not decision or is_persons(decision):
        return None
    now, then = campaign.spec.policy.to_dict(), decision["policy"]
    # settings added by a later version are missing in old decisions
    changed = {key: value for key, value in now.items() if key in then and then[key] != value}
    return ", ".join(f"{key} {value}" for key, value in changed.items()) or None


def _made_again(document: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the stored policy's verdict on the stored inputs, which differs from the decision only if data were
    altered.
    """
    decision = document.get("decision")
    if not decision or "inputs" not in decision:
        return None
    if "rule" in decision:  # the prefilter's
        inputs = decision["inputs"]
        promising, reason = prefilter_verdict(inputs["e_above_hull"], inputs["uncertainty"], **decision["rule"])
        same = not promising and decision["reason"].startswith(reason)
        return {"promising": promising, "reason": reason, "same": same}
    # decisions of earlier versions have no cost among their inputs
    inputs = {"relax_cpu_s": decision["relax_cpu_s"], **decision["inputs"]}
    prediction = prediction_of({**document, "prediction": inputs})
    if not prediction.is_known:
        return {"promising": False, "reason": "no prediction", "same": decision["outcome"] == "rejected"}
    policy: Policy = make_policy(decision["policy"])
    promising, reason = policy.judge(prediction)
    same = promising == (decision["outcome"] != "rejected") and decision["reason"].startswith(reason)
    return {"promising": promising, "reason": reason, "same": same}


def format_explanation(told: Mapping[str, Any]) -> Iterator[str]:
    """Yield the explanation as lines of text."""
    state = told["state"] if told["calculation"] is None else f"{told['calculation']} ({told['state']})"
    yield f"{told['formula']} {told['prototype']} ({told['_id']}), campaign {told['campaign']}: {state}"
    parent = told.get("parent") or {}
    if parent.get("source") == AS_GIVEN:
        yield f"as given: {parent['name']}, from {parent['file']}"
        if columns := parent.get("columns"):
            yield f"its source says: {', '.join(f'{key} {value}' for key, value in columns.items())}"
    elif parent:
        yield f"made from: {', '.join(f'{key} {value}' for key, value in parent.items())}"
    if told["is_dos_changed"]:
        changed = told["is_dos_changed"]
        yield (
            f"IS-DOS: custodian changed its {changed} (`is_dos.corrections`), so it was not computed with the "
            "settings of the others"
        )
    if told["unrelaxed_e_form_per_atom"] is not None:
        energy = told["unrelaxed_e_form_per_atom"]
        yield f"unrelaxed: E_f {energy:+.3f} eV/atom, by the energy of the IS-DOS calculation"
    if told["role"] != SCREENED:
        yield f"not decided on: it is always relaxed (role {told['role']})"
    elif told["prediction"] is None:
        yield from _format_prefilter(told["prefilter"])
        yield "not predicted yet" if told["state"] != CandidateState.REJECTED else "not predicted: it has no IS-DOS"
    else:
        yield from _format_prefilter(told["prefilter"])
        yield from _format_prediction(told["prediction"])
    if told["decision"]:
        yield from _format_decision(told["decision"], told["made_again"])
    if told["near_threshold"]:
        yield (
            "  uncertain: lower by one standard deviation, it would be promoted; "
            f"{what_to_do(told['campaign'], told['_id'])}"
        )
    if told["policy_changed"]:
        yield f"  changed since: {told['policy_changed']} (campaign history {told['campaign']})"
    for earlier in reversed(told["previous_decisions"]):
        yield f"before that: {earlier['outcome']} by {_by(earlier)} at {earlier['time']}: {earlier['reason']}"
    if told["result"]:
        result = told["result"]
        yield (
            f"result: E_f(DFT) {result['e_form_per_atom']:+.3f}, E_hull(DFT) {result['e_above_hull']:+.3f} eV/atom: "
            f"{'stable' if result['stable'] else 'not stable'}{_format_corrections(result)}"
        )
    if told["final_failure"]:
        failure = told["final_failure"]
        yield f"failed permanently: {failure['stage']}, {failure['kind']}: {failure['error']}"
    for title, origin in told["reused_from"].items():
        yield (
            f"{title} reused from campaign {origin['campaign']}: {origin['document']}, attempt {origin['entry']}, "
            f"{origin['cpu_s']:.0f} CPU-s there"
        )
    yield f"cost so far: {told['cpu_s']:.0f} CPU-s, all attempts"
    moves = ", ".join(f"{move['state']} {move['time']}" for move in told["history"])
    yield f"history: {moves or 'none'}"


def _format_prefilter(said: Mapping[str, Any] | None) -> Iterator[str]:
    if said is None:
        return
    if said["state"] == PrefilterState.NEW:
        yield "prefilter: not evaluated yet"
        return
    audit = ", and drawn for the audit" if said["audit"] else ""
    yield f"{said['outcome']} by the {said['reason']}{audit}"
    if said["e_form_per_atom"] is not None:
        deviation = "" if said["uncertainty"] is None else f", standard deviation {said['uncertainty']:.3f}"
        yield f"  E_f {said['e_form_per_atom']:+.3f}{deviation} eV/atom{_format_corrections(said)}"
    yield f"  by {identity_text(said['scorer'])} in {said['step']}, against reference set {said['reference_set'][:12]}"


def _format_prediction(prediction: Mapping[str, Any]) -> Iterator[str]:
    if prediction["e_form_per_atom"] is None:
        yield f"prediction: none ({prediction.get('reason') or 'its features are missing or cannot be used'})"
        yield from _format_parts(prediction)
        return
    deviation = prediction.get("uncertainty")
    doubt = "no uncertainty" if deviation is None else f"standard deviation {deviation:.3f}"
    seen = {True: "; unlike what the model was trained on", False: "", None: ""}[prediction.get("novel")]
    energies = f"E_f(ML) {prediction['e_form_per_atom']:+.3f}, E_hull(ML) {prediction['e_above_hull']:+.3f}"
    yield f"prediction: {energies}, {doubt} eV/atom{seen}{_format_corrections(prediction)}"
    yield from _format_parts(prediction)
    if used := prediction.get("recalibration"):
        said = f"the scorer's own prediction: E_f(ML) {prediction['raw']['e_form_per_atom']:+.3f}"
        yield f"  corrected by {used['step']}, of {used['n']} relaxed: {said}"
    by = f"model {prediction['model'][:12]}" if prediction.get("model") else identity_text(prediction.get("scorer"))
    yield f"  by {by} in {prediction['step']}, against reference set {prediction['reference_set'][:12]}"


def _format_parts(prediction: Mapping[str, Any]) -> Iterator[str]:
    """Yield the predictions of several combined scorers with their weights."""
    if not (parts := prediction.get("parts")):
        return
    for part in parts:
        if part["e_form_per_atom"] is None:
            yield f"  {part['scorer']}: no prediction ({part['reason']})"
            continue
        doubt = "no uncertainty" if part["uncertainty"] is None else f"standard deviation {part['uncertainty']:.3f}"
        share = "not counted" if part["weight"] is None else f"weight {part['weight']:.2f}"
        yield f"  {part['scorer']}: E_f(ML) {part['e_form_per_atom']:+.3f}, {doubt} eV/atom; {share}"
    yield f"  combined: {Correlation.from_dict(prediction['combination']).describe()}"


def _format_corrections(energies: Mapping[str, Any]) -> str:
    stated = energies.get("corrections")
    return f"; corrections: {stated}" if stated else ""


def _by(decision: Mapping[str, Any]) -> str:
    return f"{decision['user']} on {decision['host']}" if is_persons(decision) else str(decision["step"])


def _format_person_decision(decision: Mapping[str, Any]) -> Iterator[str]:
    over = ", regardless of the budget" if decision["over_budget"] else ""
    yield f"decision: {decision['outcome']} by a person, {_by(decision)}, at {decision['time']}{over}"
    yield f"  because {decision['reason']}"
    yield "  it counts neither for nor against the policy in campaign metrics"
    yield from _format_cost(decision)


def _format_cost(decision: Mapping[str, Any]) -> Iterator[str]:
    if decision.get("relax_cpu_s"):
        yield f"  its relaxation was expected to cost {decision['relax_cpu_s']:.0f} CPU-s"
    if decision.get("budget_before") is not None:
        before, after = decision["budget_before"] / 3600, decision["budget_after"] / 3600
        yield f"  budget: {before:.3f} CPU-hours could be reserved before it, {after:.3f} after it"


def _format_decision(decision: Mapping[str, Any], again: Mapping[str, Any] | None) -> Iterator[str]:
    if is_persons(decision):
        yield from _format_person_decision(decision)
        return
    audit = ", and relaxed for the audit" if decision.get("audit") else ""
    rank = f", rank {decision['rank']} among candidates decided on together" if decision.get("rank") else ""
    outcome = decision.get("outcome") or ("promoted" if decision["promoted"] else "rejected")
    by = " by the prefilter" if is_prefilters(decision) else ""
    yield f"decision: {outcome}{by}{audit}{rank}, at {decision['time']} in {decision['step']}"
    yield f"  because {decision['reason']}"
    settings = ", ".join(f"{key} {value}" for key, value in decision["policy"].items())
    yield f"  policy: {settings}; seed {decision.get('seed')}"
    yield from _format_cost(decision)
    if again is not None:
        yield (
            f"  recomputed from the stored data: {'the same' if again['same'] else 'NOT the same: ' + again['reason']}"
        )


def _as_json(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _as_json(found) for key, found in value.items()}
    if isinstance(value, list):
        return [_as_json(found) for found in value]
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M:%S} UTC"
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
