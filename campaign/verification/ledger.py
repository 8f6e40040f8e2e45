"""Check that each finished stage has exactly one successful attempt, and that totals are sums over the ledger."""

from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import get_args

from campaign.store import integrity
from campaign.store.attempts import Outcome
from campaign.store.campaigns import Campaign
from campaign.store.states import CampaignState, StepState
from campaign.store.steps import StepKind
from campaign.store.usage import NO_STAGE
from campaign.verification.finding import Finding
from campaign.verification.records import Records

_COMPLETED = "each finished stage has exactly one successful attempt"
_LEDGER = "the ledger's entries belong to the campaign, and are closed when they are over"
_TOTALS = "totals are the sums over the ledger"
#: CPU-s that a Screen ending with its campaign may add to the ledger after the summary.
_TOLERANCE_CPU_S = 1.0


class Ledger:
    """Sums over the ledger of a campaign, read once.

    Attributes
    ----------
    entries
        Number of entries.
    """

    def __init__(self, campaign: Campaign) -> None:
        self.entries = 0
        self._campaign = campaign
        self._by_firework: Counter[int] = Counter()
        self._by_document: Counter[tuple[str, str]] = Counter()
        self._cpu_s: defaultdict[str, float] = defaultdict(float)
        self._running: list[tuple[str, int]] = []
        self._orphans: list[tuple[str, str]] = []
        self._unknown: list[tuple[str, str]] = []

    def read(self, records: Records) -> None:
        """Read every entry, noting those without a document of the campaign or with an unknown outcome."""
        outcomes = set(get_args(Outcome))
        for entry in integrity.attempts(self._campaign):
            self.entries += 1
            document, outcome, stage = entry.get("document"), entry.get("outcome"), entry.get("stage")
            self._cpu_s[NO_STAGE if stage is None else stage] += float(entry.get("cpu_s") or 0.0)
            if outcome not in outcomes:
                self._unknown.append((entry["_id"], str(outcome)))
            elif outcome == "running":
                self._running.append((entry["_id"], entry["fw_id"]))
            elif outcome in ("completed", "reused"):
                if outcome == "completed":
                    self._by_firework[entry["fw_id"]] += 1
                if document is not None:
                    self._by_document[document, str(stage)] += 1
            if document is not None and document not in records.roles:
                self._orphans.append((entry["_id"], document))

    def check(self, records: Records) -> Iterator[Finding]:
        """Check the entries against documents, steps and fireworks, and the campaign's summary against their sums."""
        yield from self._check_completed(records)
        yield from self._check_entries(records)
        yield from self._check_totals()

    def _check_completed(self, records: Records) -> Iterator[Finding]:
        budget = f"campaign budget {self._campaign.name} (its CPU-hours count each attempt as it is in the ledger)"
        for calculation in records.calculations:
            if not calculation.done or (calculation.fw_id is None and calculation.reused_from is None):
                continue
            number = 0 if calculation.fw_id is None else self._by_firework[calculation.fw_id]
            # an earlier try of a retried one may have succeeded with unusable output
            if not calculation.retried or calculation.reused_from is not None:
                number = max(number, self._by_document[calculation.document, calculation.stage.name])
            if number != 1:
                problem = f"{number} successful attempts, right: 1"
                yield Finding(check=_COMPLETED, subject=calculation.title, problem=problem, remedy=budget)
        for step in records.steps.values():
            number = self._by_firework[step["fw_id"]] if "fw_id" in step else 0
            # the report has no ledger entry
            if step["state"] == StepState.DONE and step["kind"] != StepKind.REPORT and number != 1:
                problem = f"the step is done with {number} successful attempts, right: 1"
                yield Finding(check=_COMPLETED, subject=step["_id"], problem=problem, remedy=budget)

    def _check_entries(self, records: Records) -> Iterator[Finding]:
        name = self._campaign.name

        def wrong(subject: str, problem: str) -> Finding:
            return Finding(check=_LEDGER, subject=subject, problem=problem, remedy=f"campaign reconcile {name}")

        for entry, outcome in self._unknown:
            yield wrong(f"attempt {entry}", f"outcome is {outcome!r}, right: {', '.join(get_args(Outcome))}")
        for entry, document in self._orphans:
            yield wrong(f"attempt {entry}", f"it is of {document}, which is not in this campaign")
        for entry, fw_id in self._running:
            state = records.firework_states.get(fw_id)
            if state != "RUNNING":
                yield wrong(f"attempt {entry}", f"it is open, and firework {fw_id} is {state or 'not there'}")

    def _check_totals(self) -> Iterator[Finding]:
        campaign = self._campaign
        if campaign.document["state"] != CampaignState.FINISHED:
            return
        for stage, stored in ((campaign.document.get("summary") or {}).get("cpu_s") or {}).items():
            if abs(stored - self._cpu_s[stage]) > _TOLERANCE_CPU_S:
                yield Finding(
                    check=_TOTALS,
                    subject=f"summary.cpu_s.{stage}",
                    problem=f"{stored:.1f} CPU-s, and its attempts sum up to {self._cpu_s[stage]:.1f}",
                    remedy=f"campaign budget {campaign.name}",
                )
