"""The end of a campaign."""

from __future__ import annotations

from typing import Any

from campaign.budget.spent import cost_by_stage
from campaign.scheduling.evaluate import evaluate_relaxed
from campaign.store.campaigns import load_campaign
from campaign.store.collections import CampaignStore, now


def finish_campaign(store: CampaignStore, name: str, step_id: str) -> dict[str, Any]:
    """Write the summary into the campaign's document and mark it as finished.

    Returns
    -------
    dict
        Number of candidates by state, number of stable ones, CPU-seconds by stage.
    """
    campaign = load_campaign(store, name)
    # a candidate may have been relaxed after whoever submitted this step had looked
    evaluate_relaxed(store, campaign, campaign.document["reference_set"])
    summary = {
        "states": store.state_counts(name),
        "stable": store.candidates.count_documents({"campaign": name, "result.stable": True}),
        "cpu_s": {stage: cost["cpu_s"] for stage, cost in cost_by_stage(store, name).items()},
    }
    store.campaigns.update_one(
        {"_id": name, "state": {"$ne": "finished"}},
        {"$set": {"state": "finished", "summary": summary, "ended": now()}},
    )
    store.close_step(step_id)
    return summary
