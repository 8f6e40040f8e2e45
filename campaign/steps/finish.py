"""The end of a campaign."""

from typing import Any

from campaign.scheduling.evaluate import evaluate_relaxed
from campaign.store.additions.candidates import close_campaign
from campaign.store.campaigns import Campaign
from campaign.store.counts import count_candidates
from campaign.store.steps import withdraw_step
from campaign.store.usage import cost_by_stage


def finish_campaign(campaign: Campaign, step_id: str) -> dict[str, Any]:
    """Write the summary into the campaign's document and mark it as finished.

    The step is withdrawn, and submitted again at the end, if a person has promoted candidates since it was submitted.

    Returns
    -------
    dict
        Number of candidates by state, number of stable ones, CPU-seconds by stage; empty if the step was withdrawn
        because candidates have been added.
    """
    if campaign.document.get("reference_set") is None:
        # candidates with further elements were added, whose references are being computed
        withdraw_step(campaign, step_id)
        return {}
    # a candidate may have been relaxed after the process that submitted this step checked
    evaluate_relaxed(campaign, campaign.reference_set)
    summary = {
        "states": campaign.store.state_counts(campaign.name),
        "stable": count_candidates(campaign, stable=True),
        "cpu_s": {stage: cost["cpu_s"] for stage, cost in cost_by_stage(campaign).items()},
    }
    if not close_campaign(campaign, summary, step_id):
        withdraw_step(campaign, step_id)
        return {}
    return summary
