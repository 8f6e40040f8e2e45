"""Other limits for a campaign that runs, or that has ended with candidates held."""

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from campaign.budget.limits import current_budget
from campaign.scheduling.advance import advance
from campaign.spec.reader import wrong_settings
from campaign.spec.sections.budget import BudgetSection
from campaign.store.campaigns import OpenCampaign
from campaign.store.counts import count_candidates
from campaign.store.held import free_held_before_dos, reopen, replace_budget
from campaign.store.states import CandidateState
from esnet.files.errors import UserError


class BudgetError(UserError, ValueError):
    """A limit that cannot be; the message names it."""


def change_budget(campaign: OpenCampaign, changes: Mapping[str, Any]) -> str:
    """Put other limits in force, and let go on what they allow.

    Every budget that was in force stands in the campaign's document (``budget_history``). Lower limits stop what has
    not begun; what has been computed stays.

    Parameters
    ----------
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
    replace_budget(campaign, wanted.model_dump(mode="json"))
    held_before = count_candidates(campaign, state=CandidateState.HELD)
    if held_before:
        reopen(campaign)
    free_held_before_dos(campaign)
    advance(campaign)
    held = count_candidates(campaign, state=CandidateState.HELD)
    went_on = f"; {held_before - held} held candidates go on, {held} stay held" if held_before else ""
    return f"campaign {campaign.name}: the budget is changed{went_on}"
