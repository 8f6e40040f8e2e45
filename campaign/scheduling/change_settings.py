"""Change settings of a running or finished campaign: policy, budget, screening, retries, limits for stable."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from pymongo.client_session import ClientSession

from campaign.budget.hold_queue import release_held
from campaign.budget.limits import closed_reason, current_budget
from campaign.budget.redecide import redecide as decide_again
from campaign.policies.base import without_uncertainty
from campaign.scheduling.advance import advance
from campaign.spec.campaign_spec import CampaignSpec
from campaign.spec.changes import Change, SettingsError, changed_spec
from campaign.store.campaigns import Campaign, OpenCampaign
from campaign.store.changes.events import record_event
from campaign.store.changes.refusal import refuse_changes
from campaign.store.changes.settings import gives_uncertainty, restate_stability, write_settings
from campaign.store.counts import count_candidates
from campaign.store.held import free_held_before_dos, lock_budget, reopen
from campaign.store.states import CandidateState

Given = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True, kw_only=True)
class SettingsReport:
    """Changed settings, and their effect.

    Attributes
    ----------
    changes
        The changed settings.
    decided_again
        Number of candidates by change of outcome (``rejected -> promoted``) if decisions were repeated, or None.
    released, held
        Number of candidates released, and newly held.
    """

    changes: list[Change] = field(default_factory=list)
    decided_again: Counter[str] | None = None
    released: int = 0
    held: int = 0


def settings_in_force(campaign: Campaign) -> CampaignSpec:
    """Return all settings of a campaign, with the budget in force."""
    return campaign.spec.model_copy(update={"budget": current_budget(campaign)})


def change_settings(
    campaign: OpenCampaign,
    given: Given,
    *,
    problems: Sequence[str] = (),
    redecide: bool = False,
    dry_run: bool = False,
    kind: str = "set",
) -> SettingsReport:
    """Put new settings into force, record them in the history, and submit the work that they allow.

    Existing decisions are kept; those on rejected and held candidates are repeated on request.

    Parameters
    ----------
    given
        New values, by section and key.
    problems
        Problems found so far.
    redecide
        Whether to repeat decisions.
    dry_run
        If True, write nothing.
    kind
        Name of the change in the history.

    Raises
    ------
    SettingsError
        Lists all problems; nothing is changed then.
    NoChangesError
        If the campaign is starting or archived.
    """
    campaign = campaign.refresh()
    new, changes = changed_spec(settings_in_force(campaign), given, problems)
    _refuse(campaign, new)
    if dry_run:
        counts = decide_again(replace(campaign, spec=new), dry_run=True) if redecide else None
        return SettingsReport(changes=changes, decided_again=counts)
    held_before, closed_before = count_candidates(campaign, state=CandidateState.HELD), closed_reason(campaign)
    if changes:
        changes = campaign.store.in_transaction(lambda session: _write(campaign, given, kind, session))
    sections = {change.field.partition(".")[0] for change in changes}
    campaign = campaign.refresh()
    # setting the same budget again repeats the release of an earlier, killed call; a stop rule counts stable materials
    is_opened = closed_before is not None and closed_reason(campaign) is None
    if held_before and ("budget" in given or is_opened):
        reopen(campaign)
        free_held_before_dos(campaign)
    elif held_before and "policy" in sections:
        release_held(campaign)
    counts = decide_again(campaign) if redecide else None
    advance(campaign)
    held = count_candidates(campaign, state=CandidateState.HELD)
    return SettingsReport(
        changes=changes, decided_again=counts, released=max(held_before - held, 0) if held_before else 0, held=held
    )


def _refuse(campaign: Campaign, new: CampaignSpec) -> None:
    refuse_changes(campaign)
    if new.policy != campaign.spec.policy and new.policy.needs_uncertainty() and gives_uncertainty(campaign) is False:
        raise SettingsError(
            [f"policy.kind: {without_uncertainty(new.policy.kind)}; right: another kind, or a deviation"]
        )


def _write(campaign: OpenCampaign, given: Given, kind: str, session: ClientSession) -> list[Change]:
    """Apply the change to the settings in force while no other process can change them."""
    lock_budget(campaign, session)
    current = campaign.refresh()
    new, changes = changed_spec(settings_in_force(current), given)
    if not changes:
        return []
    details = {
        "text": ", ".join(map(str, changes)),
        "changes": [{"field": change.field, "old": change.old, "new": change.new} for change in changes],
    }
    write_settings(current, new, event=record_event(current, kind, details, session), session=session)
    if new.stable != current.spec.stable:
        restate_stability(current, new.stable, session=session)
    return changes
