"""Other limits for a campaign that runs, or that has ended with candidates held."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from campaign.budget.hold_queue import free_waiting
from campaign.budget.limits import current_budget
from campaign.scheduling.advance import advance
from campaign.spec.reader import wrong_settings
from campaign.spec.sections import BudgetSection
from campaign.store.campaigns import Campaign, OpenCampaign
from campaign.store.collections import now
from esnet.files.errors import UserError

if TYPE_CHECKING:
    pass


class BudgetError(UserError, ValueError):
    """A limit that cannot be; the message names it."""


def change_budget(campaign: OpenCampaign, changes: Mapping[str, Any]) -> str:
    """Put other limits in force, and let go on what they allow.

    Every budget that was in force stands in the campaign's document (``budget_history``). Lower limits stop what has
    not begun; what has been computed stays.

    Parameters
    ----------
    campaign
        The campaign.
    changes
        Fields of `BudgetSection`; the others stay as they are.

    Returns
    -------
    str
        What became of it, in one sentence.

    Raises
    ------
    BudgetError
        Naming the limit that is wrong; nothing is changed then.
    """
    campaign = campaign.refresh()
    before = current_budget(campaign).model_dump()
    try:
        wanted = BudgetSection.model_validate(before | dict(changes))
    except ValidationError as error:
        raise BudgetError("; ".join(wrong_settings(error, section="budget", model=BudgetSection))) from error
    stored = wanted.model_dump(mode="json")
    campaign.store.campaigns.update_one(
        {"_id": campaign.name},
        {
            "$set": {"budget": stored},
            "$push": {"budget_history": {"budget": stored, "time": now()}},
            # nobody knows now whether the next one fits
            "$unset": {"next_held": ""},
        },
    )
    held_before = campaign.store.candidates.count_documents({"campaign": campaign.name, "state": "held"})
    if held_before:
        _reopen(campaign)
    free_waiting(campaign.refresh())
    advance(campaign)
    held = campaign.store.candidates.count_documents({"campaign": campaign.name, "state": "held"})
    went_on = f"; {held_before - held} held candidates go on, {held} stay held" if held_before else ""
    return f"campaign {campaign.name}: the budget is changed{went_on}"


def _reopen(campaign: Campaign) -> None:
    """A campaign that had come to its report goes on, and comes to it again."""
    campaign.store.steps.delete_one({"_id": f"{campaign.name}/report", "state": "done"})
    campaign.store.campaigns.update_one({"_id": campaign.name, "state": "finished"}, {"$set": {"state": "running"}})
