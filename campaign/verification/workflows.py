"""Check that FireWorks and the campaign agree: one live workflow per key, each with its document."""

from collections import defaultdict
from collections.abc import Iterator

from campaign.attempts.blocked import blocked
from campaign.recovery.removed_workflows import REMOVALS, Removal, remedy
from campaign.store import integrity
from campaign.store.campaigns import Campaign
from campaign.store.states import CampaignState, StepState
from campaign.store.steps import Step
from campaign.verification.finding import Finding
from campaign.verification.records import Calculation, Records, is_live

_ONE = "no two live workflows compute the same"
_ORPHANS = "no firework is without its document or step, and no workflow without its fireworks"
_LOST = "everything that runs has fireworks that will end it"
_OVER = "a finished campaign has nothing left to run"


class Workflows:
    """The workflows of a campaign, read once.

    Attributes
    ----------
    number
        Number of workflows.
    """

    def __init__(self, campaign: Campaign) -> None:
        self.number = 0
        self._campaign = campaign

    def check(self, records: Records) -> Iterator[Finding]:
        """Check workflows and fireworks against documents and steps."""
        yield from self._check_workflows(records)
        yield from self._check_orphans(records)
        for calculation in records.calculations:
            if not calculation.done and calculation.fw_id is not None:
                yield from self._check_calculation(calculation, records)
        yield from self._check_steps(records)
        yield from self._check_end(records)

    def _check_workflows(self, records: Records) -> Iterator[Finding]:
        live: defaultdict[tuple[str | None, str | None], list[int]] = defaultdict(list)
        inside: set[int] = set()
        for workflow in integrity.workflows(self._campaign):
            self.number += 1
            nodes, about = workflow["nodes"], workflow.get("metadata") or {}
            inside.update(nodes)
            key = (about["document"], about.get("stage")) if "document" in about else (about.get("step"), None)
            if missing := [node for node in nodes if node not in records.firework_states]:
                yield self._wrong(
                    _ORPHANS,
                    f"workflow of firework {min(nodes)}",
                    f"its fireworks {_listed(missing)} are not there",
                    f"lpad delete_wflows -i {min(nodes)}",
                )
            elif any(is_live(records.firework_states[node]) for node in nodes):
                live[key].append(min(nodes))
        for (subject, stage), first in live.items():
            if len(first) > 1:
                yield self._wrong(
                    _ONE,
                    f"{subject}{f' ({stage})' if stage else ''}",
                    f"{len(first)} workflows that begin with the fireworks {_listed(sorted(first))}, right: 1",
                    f"lpad defuse_wflows -i {max(first)}",
                )
        for fw_id in records.firework_states.keys() - inside:
            yield self._wrong(
                _ORPHANS, f"firework {fw_id}", "it belongs to no workflow", f"lpad get_fws -i {fw_id} -d all"
            )

    def _check_orphans(self, records: Records) -> Iterator[Finding]:
        for fw_id, (subject, _) in records.firework_subjects.items():
            if subject is None or subject in records.roles or subject in records.steps:
                continue
            # a reopened campaign has no report until it writes the next one
            if is_live(records.firework_states[fw_id]) or subject != Step.report(self._campaign.name).id:
                yield self._wrong(
                    _ORPHANS,
                    f"firework {fw_id}",
                    f"it is for {subject}, which is not in this campaign",
                    f"lpad defuse_wflows -i {fw_id}",
                )

    def _check_calculation(self, calculation: Calculation, records: Records) -> Iterator[Finding]:
        first, second = calculation.fw_id, calculation.record_fw_id
        states = {fw_id: records.firework_states.get(fw_id) for fw_id in (first, second) if fw_id is not None}
        for fw_id, state in states.items():
            if state in REMOVALS:
                yield self._removed(calculation.title, fw_id, REMOVALS[state])
                return
        if not any(is_live(state) for state in states.values()):
            yield self._wrong(
                _LOST,
                calculation.title,
                f"it is {calculation.stage.running}, and its fireworks {_listed(sorted(states))} are over "
                f"({', '.join(str(states[fw_id]) for fw_id in sorted(states))})",
                f"campaign reconcile {self._campaign.name} (else lpad rerun_fws -i {max(states)})",
            )

    def _removed(self, subject: str, fw_id: int, how: Removal) -> Finding:
        command, alone = remedy(self._campaign.name, how, fw_id)
        mend = f"{command} (or for it alone: {alone})" if alone else command
        return self._wrong(_LOST, subject, f"it waits for its firework {fw_id}, which is {how}", mend)

    def _check_steps(self, records: Records) -> Iterator[Finding]:
        for step in records.steps.values():
            fw_id = step.get("fw_id")
            if step["state"] == StepState.DONE or fw_id is None:
                continue
            state = records.firework_states.get(fw_id)
            if state in REMOVALS:
                yield self._removed(step["_id"], fw_id, REMOVALS[state])
            elif not is_live(state):
                yield self._wrong(
                    _LOST,
                    step["_id"],
                    f"the step is not done, and its firework {fw_id} is {state}",
                    f"campaign reconcile {self._campaign.name} (else lpad rerun_fws -i {fw_id})",
                )

    def _check_end(self, records: Records) -> Iterator[Finding]:
        live = sorted(fw_id for fw_id, state in records.firework_states.items() if is_live(state))
        if self._campaign.document["state"] == CampaignState.FINISHED:
            for fw_id in live:
                yield self._wrong(
                    _OVER,
                    f"firework {fw_id}",
                    f"it is {records.firework_states[fw_id]}, and the campaign is finished",
                    f"lpad defuse_fws -i {fw_id}",
                )
        elif (
            self._campaign.document["state"] == CampaignState.RUNNING
            and not live
            and not self._campaign.is_halted
            and blocked(self._campaign) is None  # `check_stuck` reports it
        ):
            yield self._wrong(
                _LOST,
                self._campaign.name,
                "it is not finished, and nothing of it runs or waits for a worker",
                f"campaign reconcile {self._campaign.name}",
            )

    def _wrong(self, check: str, subject: str, problem: str, remedy: str) -> Finding:
        return Finding(check=check, subject=subject, problem=problem, remedy=remedy)


def _listed(fw_ids: list[int]) -> str:
    return ", ".join(map(str, fw_ids))
