"""Change the limits of a running campaign, or of one that finished with held candidates."""

from collections.abc import Mapping
from typing import Any

from campaign.config.wording import format_count
from campaign.scheduling.change_settings import change_settings
from campaign.spec.changes import SettingsError
from campaign.store.campaigns import OpenCampaign
from campaign.store.counts import count_candidates
from campaign.store.states import CandidateState
from esnet.files.errors import UserError


class BudgetError(UserError, ValueError):
    """An invalid limit; the message names it."""


def change_budget(campaign: OpenCampaign, changes: Mapping[str, Any]) -> str:
    """Put new limits into force, and release the candidates that they allow.

    The campaign's document lists every budget that was in force (``budget_history``). Lower limits stop calculations
    that have not started; results are kept.

    Parameters
    ----------
    changes
        Fields of `BudgetSection`; others are unchanged.

    Returns
    -------
    str
        The result, in one sentence.

    Raises
    ------
    BudgetError
        Names the invalid limit; nothing is changed then.
    """
    held_before = count_candidates(campaign, state=CandidateState.HELD)
    try:
        report = change_settings(campaign, {"budget": changes}, kind="budget")
    except SettingsError as error:
        raise BudgetError("; ".join(error.problems)) from error
    went_on = (
        f"; {format_count(report.released, 'held candidate')} released, {report.held} stay held" if held_before else ""
    )
    return f"campaign {campaign.name}: the budget is {'changed' if report.changes else 'unchanged'}{went_on}"
