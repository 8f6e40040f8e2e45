"""Candidates promoted or rejected by a person, overriding the policy."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Literal

from pymongo.client_session import ClientSession

from campaign.budget.costs import Costs
from campaign.budget.decision_document import is_persons
from campaign.budget.limits import allowance_now, expected_costs
from campaign.budget.persons import person_decision, within_budget
from campaign.policies.allowance import RemainingBudget
from campaign.scheduling.advance import advance
from campaign.store.campaigns import OpenCampaign
from campaign.store.changes.events import record_event, who
from campaign.store.changes.persons import read_for_decision, withdraw, write_person_decisions
from campaign.store.changes.refusal import refuse_changes
from campaign.store.collections import Document, in_chunks
from campaign.store.held import lock_budget, note_held, reopen
from campaign.store.states import SCREENED, STAGES, CandidateState
from campaign.store.usage import cells
from esnet.files.errors import UserError

_AT_ONCE = 500


class PersonDecisionError(UserError, ValueError):
    """A person's decision cannot be recorded; the message says what would be right."""


Became = Literal["promoted", "held", "rejected", "later", "unchanged", "refused"]


@dataclass(frozen=True)
class Decided:
    """Result for one candidate: ``AlPd:B2``, its id, one word and a sentence.

    ``later``: its IS-DOS is running, and the decision is carried out once that has finished. ``unchanged``: the state
    was the same before. ``refused``: impossible.
    """

    name: str
    id: str
    became: Became
    why: str


@dataclass(frozen=True, kw_only=True)
class PersonReport:
    """Results for the candidates that a person decided on.

    Attributes
    ----------
    decided
        One for each candidate, in order.
    relax_cpu_s
        Expected cost of the promoted relaxations, CPU-seconds.
    left_cpu_s
        CPU-seconds then left for relaxations; None if unlimited or not computed.
    """

    decided: list[Decided] = field(default_factory=list)
    relax_cpu_s: float = 0.0
    left_cpu_s: float | None = None

    def counts(self) -> Counter[str]:
        """Number of candidates by result."""
        return Counter(each.became for each in self.decided)


class _NothingWrittenError(Exception):
    """Ends the transaction of a dry run."""


#: The decision on a document, its new state, result and sentence; without a decision nothing is written.
_Made = tuple[dict[str, Any] | None, str, Became, str]
_Decide = Callable[[Document, ClientSession], _Made]


def promote(
    campaign: OpenCampaign, ids: Sequence[str], *, reason: str, over_budget: bool = False, dry_run: bool = False
) -> PersonReport:
    """Have candidates relaxed on a person's request, and submit them.

    Rejected, held and waiting candidates are promoted, and those whose IS-DOS failed; an IS-DOS that no worker has
    started is withdrawn. Candidates that the budget does not allow are held, and released first.

    Parameters
    ----------
    ids
        Ids of the candidates.
    reason
        The reason, stored in the decision.
    over_budget
        Whether to relax them regardless of the budget.
    dry_run
        If True, write nothing.
    """
    costs, by = expected_costs(campaign), who()
    left = unasked = RemainingBudget()

    def decide(document: Document, session: ClientSession) -> _Made:
        state = document["state"]
        if said := _why_not_promoted(document, over_budget=over_budget):
            return None, state, "unchanged", said
        cost = costs.screened(document)
        decision = person_decision(
            campaign, outcome=CandidateState.PROMOTED, reason=reason, by=by, relax_cpu_s=cost, over_budget=over_budget
        )
        if state == CandidateState.DOS_RUNNING and not withdraw(campaign, document, STAGES["dos"], session=session):
            return decision, state, "later", "its IS-DOS is running; it is relaxed when that has finished"
        decision = within_budget(decision, left)
        if not decision["promoted"]:
            note_held(campaign, document, session=session)
            refused = decision["reason"].removeprefix(f"{reason}; ")
            return decision, CandidateState.HELD, "held", f"{refused}; it is relaxed first when a limit is raised"
        return decision, CandidateState.PROMOTED, "promoted", _was(document)

    def begin(session: ClientSession) -> None:
        nonlocal left
        if dry_run and left is not unasked:
            return  # nothing of earlier chunks is written, and all of it counts
        left = RemainingBudget() if over_budget else allowance_now(campaign, costs, session=session)

    decided = _decide_on_all(campaign, ids, decide, begin, kind="promote", reason=reason, dry_run=dry_run)
    return PersonReport(decided=decided, relax_cpu_s=_cost(campaign, decided, costs), left_cpu_s=left.cpu_s)


def reject(campaign: OpenCampaign, ids: Sequence[str], *, reason: str, dry_run: bool = False) -> PersonReport:
    """Exclude candidates from relaxation on a person's request; calculations that have not started are withdrawn.

    A candidate whose relaxation is running or has ended is refused. Parameters are those of `promote`.
    """
    by = who()

    def decide(document: Document, session: ClientSession) -> _Made:
        state = document["state"]
        decision = person_decision(campaign, outcome=CandidateState.REJECTED, reason=reason, by=by)
        if said := _why_not_rejected(document):
            return None, state, *said
        if state == CandidateState.RELAX_RUNNING and not withdraw(campaign, document, STAGES["relax"], session=session):
            return None, state, "refused", "its relaxation is running, and is not stopped"
        if state == CandidateState.DOS_RUNNING and not withdraw(campaign, document, STAGES["dos"], session=session):
            return decision, state, "later", "its IS-DOS is running, and is completed; it is not relaxed after that"
        audited = "; it was drawn for the audit, which counts it as open from now on"
        drawn = audited if (document.get("decision") or {}).get("audit") else ""
        return decision, CandidateState.REJECTED, "rejected", f"{_was(document)}{drawn}"

    return PersonReport(
        decided=_decide_on_all(campaign, ids, decide, _nothing, kind="reject", reason=reason, dry_run=dry_run)
    )


def _nothing(_: ClientSession) -> None:
    """Do nothing before the first decision."""


def _why_not_promoted(document: Mapping[str, Any], *, over_budget: bool) -> str | None:
    state, decision = document["state"], document.get("decision") or {}
    if document["role"] != SCREENED:
        return f"it is always relaxed (role {document['role']})"
    if state == CandidateState.RELAXED:
        return "it is relaxed already"
    if state == CandidateState.RELAX_FAILED:
        return "its relaxation failed: campaign failures shows why, campaign retry retries it"
    if state in (CandidateState.PROMOTED, CandidateState.RELAX_RUNNING):
        return (
            f"it is {'being relaxed for the audit' if decision.get('audit') else 'promoted'} already ({_by(decision)})"
        )
    wanted = is_persons(decision) and (decision["promoted"] or state == CandidateState.HELD)
    if wanted and decision["over_budget"] >= over_budget:
        return f"it is promoted already ({_by(decision)}), and waits for {_waits_for(state)}"
    return None


def _why_not_rejected(document: Mapping[str, Any]) -> tuple[Became, str] | None:
    state, decision = document["state"], document.get("decision") or {}
    if document["role"] != SCREENED:
        return "refused", f"it is always relaxed, to train the model (role {document['role']})"
    if state in (CandidateState.RELAXED, CandidateState.RELAX_FAILED):
        return "refused", f"its relaxation has already {'finished' if state == CandidateState.RELAXED else 'failed'}"
    if state == CandidateState.DOS_FAILED:
        return "unchanged", "its IS-DOS failed, so it is not relaxed"
    if is_persons(decision) and decision["outcome"] == CandidateState.REJECTED:
        return "unchanged", f"it is rejected already ({_by(decision)})"
    return None


def _by(decision: Mapping[str, Any]) -> str:
    return f"by {decision['user']}: {decision['said']}" if is_persons(decision) else f"by {decision.get('step')}"


def _waits_for(state: str) -> str:
    return "the budget: --over-budget relaxes it regardless" if state == CandidateState.HELD else "its IS-DOS to finish"


def _was(document: Mapping[str, Any]) -> str:
    decision = document.get("decision")
    if decision:
        return f"was {decision['outcome']} ({_by(decision)})"
    return {
        CandidateState.DOS_FAILED: "its IS-DOS had failed",
        CandidateState.DOS_DONE: "waited for its Screen",
        CandidateState.HELD: "the budget held it before its IS-DOS",
    }.get(document["state"], "waited for its IS-DOS")


def _decide_on_all(
    campaign: OpenCampaign,
    ids: Sequence[str],
    decide: _Decide,
    begin: Callable[[ClientSession], None],
    *,
    kind: str,
    reason: str,
    dry_run: bool,
) -> list[Decided]:
    """Decide in transactions of some hundred candidates, each with a history entry, then submit."""
    campaign = campaign.refresh()
    refuse_changes(campaign)
    if not reason.strip():
        raise PersonDecisionError("--reason: found nothing; right: a short reason, stored with the decision")
    decided: list[Decided] = []

    def body(chunk: Sequence[str], session: ClientSession) -> list[Decided]:
        lock_budget(campaign, session)
        begin(session)
        found: list[Decided] = []
        made = []
        for document in read_for_decision(campaign, chunk, session=session):
            decision, state, became, why = decide(document, session)
            name = f"{document['formula']}:{document['prototype']}"
            found.append(Decided(name, document["_id"], became, why))
            if decision is not None:
                made.append((document, decision, state))
        if dry_run:
            decided.extend(found)
            raise _NothingWrittenError
        if made:
            write_person_decisions(campaign, made, session=session)
            reopen(campaign, session=session)
            changed = [each for each in found if each.became not in ("unchanged", "refused")]
            details = {"text": f"{_listed(changed)}: {reason}", "reason": reason, "ids": [each.id for each in changed]}
            record_event(campaign, kind, details, session)
        return found

    for chunk in in_chunks(ids, _AT_ONCE):
        try:
            decided += campaign.store.in_transaction(partial(body, chunk))
        except _NothingWrittenError:
            continue
    if not dry_run:
        advance(campaign)
    return decided


def _listed(changed: Sequence[Decided]) -> str:
    shown = ", ".join(each.name for each in changed[:5])
    return shown if len(changed) <= 5 else f"{shown} and {len(changed) - 5} more"


def _cost(campaign: OpenCampaign, decided: Sequence[Decided], costs: Costs) -> float:
    promoted = [each.id for each in decided if each.became == "promoted"]
    return sum(map(costs.screened, cells(campaign, promoted).values()))
