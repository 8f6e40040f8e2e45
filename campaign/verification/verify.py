"""All invariants of one campaign, checked in one pass over its documents."""

import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from campaign.recovery.reconcile_report import ReconcileReport
from campaign.store import integrity
from campaign.store.campaigns import Campaign
from campaign.store.states import REFERENCE, SCREENED
from campaign.verification.data import Data
from campaign.verification.decisions import check_decision, check_reference_set, check_result
from campaign.verification.finding import Finding
from campaign.verification.ledger import Ledger
from campaign.verification.records import Records
from campaign.verification.references import check_models, check_references, elemental_energies
from campaign.verification.spending import check_budget
from campaign.verification.states import check_counts, check_states
from campaign.verification.stuck import check_stuck
from campaign.verification.workflows import Workflows

#: Time between the two passes over a running campaign; related writes take less.
_PAUSE_S = 3.0


@dataclass
class Verification:
    """Extent and findings of a verification.

    Attributes
    ----------
    looked_at
        Number of documents of each kind.
    findings
        Findings, with the checks in a fixed order.
    """

    looked_at: dict[str, int] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)


def verify(
    campaign: Campaign,
    repairs: Callable[[], ReconcileReport],
    *,
    read_features: bool = False,
    pause_s: float = _PAUSE_S,
) -> Verification:
    """Check every invariant of a campaign, running or finished; nothing is written.

    Documents are read one after the other while others may write, so a finding only counts if a second pass confirms
    it.

    Parameters
    ----------
    repairs
        A dry run of reconcile, called once per pass.
    read_features
        Whether to compare the content of each stored DOS (100 kB) with its checksum.
    pause_s
        Time between the two passes, in s.
    """
    found = _look(campaign, repairs(), read_features=read_features)
    if found.findings:
        time.sleep(pause_s)
        seen = {finding.key for finding in found.findings}
        found = _look(campaign.refresh(), repairs(), read_features=read_features)
        found.findings = [finding for finding in found.findings if finding.key in seen]
    return found


def _look(campaign: Campaign, repairs: ReconcileReport, *, read_features: bool) -> Verification:
    records, ledger = Records(), Ledger(campaign)
    workflows, data = Workflows(campaign), Data(campaign)
    records.read_steps_and_fireworks(campaign)
    found = Verification(findings=list(_check_documents(campaign, records)))
    ledger.read(records)
    found.findings += ledger.check(records)
    found.findings += workflows.check(records)
    found.findings += check_references(campaign, records)
    found.findings += check_models(campaign)
    found.findings += data.check(records, read_features=read_features)
    found.findings += check_budget(campaign, records)
    found.findings += check_stuck(campaign, records, repairs)
    references = sum(role == REFERENCE for role in records.roles.values())
    found.looked_at = {
        "candidates": len(records.roles) - references,
        "references": references,
        "attempts": ledger.entries,
        "steps": len(records.steps),
        "workflows": workflows.number,
        "fireworks": len(records.firework_states),
        "features": data.features,
        "outputs": data.outputs,
        # running or reserved elsewhere, with unknown state
        "unknown": len(repairs.unknown),
    }
    return found


def _check_documents(campaign: Campaign, records: Records) -> Iterator[Finding]:
    batches: Counter[int | None] = Counter()
    energies = elemental_energies(campaign)
    for document in integrity.structures(campaign):
        records.add(document)
        yield from check_states(campaign, document)
        if document.get("role") == REFERENCE:
            continue
        if document.get("role") == SCREENED:
            batches[document.get("batch")] += 1
        yield from check_decision(campaign, document, records.steps)
        yield from check_reference_set(campaign, document)
        yield from check_result(campaign, document, energies)
    yield from check_counts(campaign, batches)
