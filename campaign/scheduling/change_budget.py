"""Other limits for a campaign that runs, or that has ended with candidates held."""

from collections.abc import Mapping
from typing import Any

from campaign.scheduling.change_settings import change_settings
from campaign.spec.changes import SettingsError
from campaign.store.campaigns import OpenCampaign
from campaign.store.counts import count_candidates
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
    held_before = count_candidates(campaign, state=CandidateState.HELD)
    try:
        report = change_settings(campaign, {"budget": changes}, kind="budget")
    except SettingsError as error:
        raise BudgetError("; ".join(error.problems)) from error
    went_on = f"; {report.released} held candidates go on, {report.held} stay held" if held_before else ""
    return f"campaign {campaign.name}: the budget is {'changed' if report.changes else 'what it was'}{went_on}"
