"""Check that every candidate and reference is in one known state, consistent with its fields."""

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from campaign.budget.decision_document import is_persons, is_prefilters
from campaign.store.campaigns import Campaign
from campaign.store.documents import stage_fields
from campaign.store.states import (
    BOOTSTRAP,
    OPEN_STATES,
    REFERENCE,
    SCREENED,
    STAGES,
    TRAINING,
    CampaignState,
    CandidateState,
    RsDosState,
)
from campaign.verification.finding import Finding
from campaign.verification.records import calculations_of

_STATE = "each document is in one known state that its fields agree with"
_COUNT = "all candidates are there, in their batches"
_RELAXATION_STATES = frozenset({CandidateState.RELAX_RUNNING, CandidateState.RELAXED, CandidateState.RELAX_FAILED})
_DOS_STATES = frozenset({CandidateState.DOS_RUNNING, CandidateState.DOS_DONE, CandidateState.DOS_FAILED})
_STATES_OF_ROLE: dict[str, frozenset[CandidateState]] = {
    SCREENED: frozenset(CandidateState),
    TRAINING: _DOS_STATES | _RELAXATION_STATES | {CandidateState.NEW},
    BOOTSTRAP: _RELAXATION_STATES | {CandidateState.NEW},
    REFERENCE: _RELAXATION_STATES | {CandidateState.NEW},
}
#: Values of a state other than that of the document itself.
_RS_DOS_STATES = frozenset(RsDosState)


def check_states(campaign: Campaign, document: Mapping[str, Any]) -> Iterator[Finding]:
    """Check one candidate or reference, see `campaign.store.integrity.structures`."""
    name = document["_id"]
    look = f"campaign explain {campaign.name} {name}"
    again = f"campaign reconcile {campaign.name}"

    def wrong(problem: str, remedy: str = look) -> Finding:
        return Finding(check=_STATE, subject=name, problem=problem, remedy=remedy)

    state, role = document.get("state"), document.get("role")
    if role not in _STATES_OF_ROLE:
        yield wrong(f"role is {role!r}, right: {', '.join(_STATES_OF_ROLE)}")
        return
    if state not in _STATES_OF_ROLE[role]:
        yield wrong(f"state is {state!r}, right for role {role}: {', '.join(sorted(_STATES_OF_ROLE[role]))}")
        return
    rs_dos = stage_fields(document, STAGES["rs_dos"]).get("state")
    if rs_dos is not None and rs_dos not in _RS_DOS_STATES:
        yield wrong(f"rs_dos.state is {rs_dos!r}, right: {', '.join(sorted(_RS_DOS_STATES))}")
    history = [move["state"] for move in document.get("history") or [] if move.get("stage") != STAGES["rs_dos"].name]
    if history and history[-1] != state:
        yield wrong(f"state is {state}, and the last move in its history is to {history[-1]}")
    if history.count(CandidateState.RELAXED) > 1:
        yield wrong(f"its history has {history.count(CandidateState.RELAXED)} relaxations that succeeded, right: 1")
    for calculation in calculations_of(document):
        fields = stage_fields(document, calculation.stage)
        if calculation.fw_id is None and not calculation.done:
            yield wrong(f"its {calculation.stage.title} runs, and no firework is named for it", again)
        if calculation.done and not isinstance(fields.get("energy"), float):
            yield wrong(f"its {calculation.stage.title} is done without an energy")
    is_dos = stage_fields(document, STAGES["dos"])
    if _needs_is_dos(campaign, document) and not {"fw_id", "reused_from"} & is_dos.keys():
        yield wrong(f"state is {state}, and it has no IS-DOS")
    if state == CandidateState.RELAXED and not stage_fields(document, STAGES["relax"]).get("structure"):
        yield wrong("it is relaxed, and its relaxed structure is not there")
    yield from _check_failure(campaign, document, wrong)
    if campaign.document["state"] == CampaignState.FINISHED:
        if state in OPEN_STATES and role != REFERENCE:
            yield wrong(f"the campaign is finished, and its state is still {state}", again)
        if state == CandidateState.RELAXED and rs_dos in (RsDosState.NEW, RsDosState.RUNNING):
            yield wrong(f"the campaign is finished, and its RS-DOS is still {rs_dos}", again)


def _needs_is_dos(campaign: Campaign, document: Mapping[str, Any]) -> bool:
    """Whether a document is past its IS-DOS."""
    if is_persons(document.get("decision")):
        return False  # a person had it relaxed, or rejected, without one
    if is_prefilters(document.get("decision")) and document["state"] == CandidateState.REJECTED:
        return False
    if document["role"] not in (SCREENED, TRAINING) or document["state"] in (CandidateState.NEW, CandidateState.HELD):
        return False
    return document["role"] == TRAINING or campaign.spec.scorer.needs_dos


def _check_failure(campaign: Campaign, document: Mapping[str, Any], wrong: Any) -> Iterator[Finding]:
    failure = document.get("final_failure") or None
    failed = [
        stage
        for stage in STAGES.values()
        if (document["state"] if stage.state_field == "state" else (document.get("rs_dos") or {}).get("state"))
        == stage.failed
    ]
    if failed and failure is None:
        yield wrong(f"its {failed[0].title} failed, and nothing says why", f"campaign failures {campaign.name}")
    elif failed and failure is not None and failure.get("stage") not in [stage.name for stage in failed]:
        yield wrong(f"its {failed[0].title} failed, and final_failure is of the stage {failure.get('stage')!r}")
    elif failure is not None and not failed:
        yield wrong(f"state is {document['state']}, and it has a final failure ({failure.get('stage')})")


def check_counts(campaign: Campaign, batches: Mapping[int | None, int]) -> Iterator[Finding]:
    """Compare the number of screened candidates with the campaign's document, batch by batch.

    Parameters
    ----------
    batches
        Number of screened candidates found, by batch.
    """
    if campaign.document["state"] == CampaignState.STARTING:
        return  # they are still being written
    expected: Counter[int | None] = Counter(dict(enumerate(campaign.document.get("batch_sizes") or [])))
    for batch in sorted(expected.keys() | batches.keys(), key=lambda each: -1 if each is None else each):
        if (found := batches.get(batch, 0)) != expected[batch]:
            yield Finding(
                check=_COUNT,
                subject=f"batch {batch}",
                problem=f"{found} screened candidates, right: {expected[batch]} (batch_sizes of the campaign)",
                remedy=f"campaign submit FILE (the file of {campaign.name}: adds those that are missing)",
            )
