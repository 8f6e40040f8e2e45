"""Find calculations and steps whose workflow was deleted, archived or defused with lpad, and resubmit them.

Nothing else notices: their documents remain in a running state, with nothing left to run.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal

from campaign.config.wording import format_count
from campaign.recovery.retry import document_name
from campaign.scheduling.advance import advance
from campaign.scheduling.submit import submit_step_again
from campaign.store.attempts import close_attempt, open_attempts, running_calculations
from campaign.store.campaigns import Campaign, OpenCampaign
from campaign.store.candidates import read_document, take_back
from campaign.store.collections import CampaignStore, in_chunks, in_utc
from campaign.store.documents import stage_fields
from campaign.store.fireworks import firework_states
from campaign.store.states import STAGES, Stage
from campaign.store.steps import Step, open_steps
from launchers.workers.process_identity import is_alive

Removal = Literal["deleted", "archived", "defused"]
#: FireWorks states in which a firework will not run without a person; None: it does not exist.
REMOVALS: dict[str | None, Removal] = {None: "deleted", "ARCHIVED": "archived", "DEFUSED": "defused"}
_CHUNK = 5000
_NAMED = 10
#: The ledger is updated every 15 s while a process computes.
_SILENT = timedelta(minutes=2)


@dataclass(frozen=True, kw_only=True)
class Removed:
    """A calculation or step that waits for a workflow that will not run.

    Attributes
    ----------
    how
        How the workflow was removed.
    fw_ids
        Its computing and recording fireworks.
    document, stage
        The calculation; None for a step.
    step
        The step; None for a calculation.
    """

    how: Removal
    fw_ids: tuple[int, ...]
    document: str | None = None
    stage: Stage | None = None
    step: Step | None = None

    def name(self, store: CampaignStore) -> str:
        """Return e.g. ``IS-DOS of AlPd:B2``, or the step's id."""
        if self.stage is None or self.document is None:
            return "" if self.step is None else self.step.id
        found = read_document(store, self.document, ["formula", "prototype", "label"])
        return f"{self.stage.title} of {self.document if found is None else document_name(found)}"


def removed_workflows(campaign: OpenCampaign) -> list[Removed]:
    """Return everything that waits for a workflow that was deleted, archived or defused."""
    return [*_removed_calculations(campaign), *_removed_steps(campaign)]


def _removed_calculations(campaign: OpenCampaign) -> Iterator[Removed]:
    for stage in STAGES.values():
        for running in running_calculations(campaign, stage):
            for part in in_chunks(running, _CHUNK):
                facts = {document["_id"]: stage_fields(document, stage) for document in part}
                by_document = {
                    document_id: (found["fw_id"], found["record_fw_id"])
                    for document_id, found in facts.items()
                    if found.get("fw_id") is not None and found.get("record_fw_id") is not None
                }
                states = firework_states(campaign.launchpad, [fw_id for both in by_document.values() for fw_id in both])
                for document_id, (calculation, recorder) in by_document.items():
                    # a computed calculation waiting to be recorded is not affected by the first firework
                    for fw_id in (recorder, calculation):
                        if (state := states.get(fw_id)) in REMOVALS:
                            both = (calculation, recorder)
                            yield Removed(how=REMOVALS[state], fw_ids=both, document=document_id, stage=stage)
                            break


def _removed_steps(campaign: OpenCampaign) -> Iterator[Removed]:
    waiting = open_steps(campaign)
    states = firework_states(campaign.launchpad, list(waiting.values()))
    for step, fw_id in waiting.items():
        if (state := states.get(fw_id)) in REMOVALS:
            yield Removed(how=REMOVALS[state], fw_ids=(fw_id,), step=step)


def format_removed(campaign: Campaign, removed: Sequence[Removed]) -> Iterator[str]:
    """Yield a line with the remedy for each way in which workflows were removed."""
    for how in REMOVALS.values():
        found = [each for each in removed if each.how == how]
        if not found:
            continue
        named = ", ".join(f"{each.name(campaign.store)} (firework {each.fw_ids[0]})" for each in found[:_NAMED])
        more = f" and {len(found) - _NAMED} more" if len(found) > _NAMED else ""
        command, alone = remedy(campaign.name, how, found[0].fw_ids[0])
        given_up = f", `campaign delete {campaign.name}` deletes the campaign" if how == "deleted" else ""
        commands = f"`{command}`" + (f" (or for the first one `{alone}`)" if alone else "")
        yield (
            f"the campaign waits for {format_count(len(found), f'{how} workflow')}: {named}{more}; "
            f"{commands} {'reignites them' if how == 'defused' else 'submits them again'}{given_up}"
        )


def remedy(name: str, how: Removal, fw_id: int) -> tuple[str, str | None]:
    """Return the command that restores all workflows removed in this way, and one for this workflow alone, if any."""
    match how:
        case "deleted":
            return f"campaign reconcile {name} --resubmit", None
        case "archived":
            return f"campaign reconcile {name} --resubmit --archived", None
        case "defused":
            return f"campaign reconcile {name} --resubmit --defused", f"lpad reignite_wfs -i {fw_id}"


def resubmit(campaign: OpenCampaign, removed: Collection[Removed]) -> tuple[int, list[str]]:
    """Resubmit calculations and steps whose workflow was removed; defused workflows are reignited instead.

    Returns
    -------
    int, list of str
        Number resubmitted, and those left alone because a process still works on them.
    """
    submitted, busy = 0, []
    for each in removed:
        if (process := _process_at_work(campaign.store, each.fw_ids[0])) is not None:
            busy.append(
                f"{each.name(campaign.store)} is still being computed by {process}; left unchanged until that finishes"
            )
        elif each.how == "defused":
            for fw_id in each.fw_ids:
                campaign.launchpad.reignite_fw(fw_id)
            submitted += 1
        elif each.step is not None:
            submitted += submit_step_again(campaign, each.step, fw_id=each.fw_ids[0])
        elif each.stage is not None and each.document is not None:
            for entry in open_attempts(campaign.store, each.fw_ids[0]):
                close_attempt(campaign.store, entry["_id"], outcome="stopped", error=f"its workflow was {each.how}")
            submitted += take_back(campaign.store, each.document, each.stage, fw_id=each.fw_ids[0])
    advance(campaign)
    return submitted, busy


def _process_at_work(store: CampaignStore, fw_id: int) -> str | None:
    """Return the process working on a firework according to the ledger, since `lpad` ends none."""
    for entry in open_attempts(store, fw_id):
        alive = is_alive(entry)
        if alive is None:
            alive = datetime.now(UTC) - in_utc(entry.get("seen") or entry["started"]) < _SILENT
        if alive:
            return f"process {entry['pid']} of {entry['host']}"
    return None
