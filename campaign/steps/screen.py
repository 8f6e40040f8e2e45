"""One Screen: predictions, decisions, promotions."""

import logging
from contextlib import nullcontext

from campaign.attempts.ledger import attempt
from campaign.scorers.base import checked_scores
from campaign.steps.decide import make_decisions
from campaign.steps.predictions import write_predictions
from campaign.steps.rescore import screen_again, with_model_of_step
from campaign.steps.scoring_context import StoredScoringContext
from campaign.store.campaigns import OpenCampaign
from campaign.store.predictions import unscored_ids
from campaign.store.steps import read_step
from esnet.ray.metrics import PROMOTED, RayMetrics
from esnet.scoring.scoring import Usage
from launchers.database.settings import DatabaseSettings

logger = logging.getLogger(__name__)


def screen_step(campaign: OpenCampaign, database: DatabaseSettings, step_id: str, *, fw_id: int) -> None:
    """Score every candidate that is ready for it, decide on each, and submit the promoted ones.

    Predictions are written as they come, and decisions are made from what was written when all are there: a Screen
    that is killed anywhere and run again scores what is left and makes the same decisions.
    """
    campaign = with_model_of_step(campaign, step_id)
    with attempt(campaign.store, campaign=campaign.name, stage="screen", fw_id=fw_id) as entry:
        # without a DOS all are ready from the start, and all Screens run at once: each does its own batch
        batch = None if campaign.spec.scorer.needs_dos else read_step(campaign, step_id).batch
        ids = unscored_ids(campaign, batch=batch)

        def add_usage(usage: Usage) -> None:
            entry.elsewhere_cpu_s += usage.cpu_s
            entry.gpu_s += usage.gpu_s

        context = StoredScoringContext(database=database, campaign=campaign, step_id=step_id, on_usage=add_usage)
        # one connection for all: the decisions show in Ray's metrics too. Without candidates Ray is not needed
        with campaign.spec.scorer.connected(context) if ids else nullcontext():
            if ids:
                scores = checked_scores(campaign.spec.scorer.score(ids, context), ids)
                write_predictions(campaign, step_id, scores)
            decided = make_decisions(campaign, step_id)
            RayMetrics(campaign.name).add(PROMOTED, sum(decision.promoted for decision in decided))
        logger.info(
            "campaign %s: %d candidates scored, %d promoted, %d held, %d audited",
            campaign.name,
            len(decided),
            sum(d.promoted for d in decided),
            sum(d.outcome == "held" for d in decided),
            sum(d.audit for d in decided),
        )
        campaign.store.close_step(step_id)
    if campaign.spec.screening.retrain_every is not None:
        screen_again(campaign, after=step_id)  # what it held with a model that has got a successor
