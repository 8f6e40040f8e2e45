"""The relaxation of aluminium, a reference of the small campaign, as its firework computes it."""

from campaign.steps.calculate import run_calculation
from campaign.store.campaigns import Campaign
from campaign.store.states import STAGES


def aluminium(store):
    """The reference's document."""
    return store.references.find_one({"label": "Al"})


def calculate(store, database, document):
    """Relax it in the current folder."""
    fw_id = document["relaxation"]["fw_id"]
    campaign = Campaign.read(store, "small")
    run_calculation(campaign, database, document_id=document["_id"], stage=STAGES["relax"], fw_id=fw_id)
