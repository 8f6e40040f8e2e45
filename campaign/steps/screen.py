"""One Screen: predict, decide and promote."""

import logging
from collections.abc import Iterator, Sequence
from contextlib import nullcontext

from campaign.attempts.ledger import attempt
from campaign.combination.correlation import Correlation
from campaign.scorers.base import Score, checked_scores
from campaign.steps.correction import Correction, correction_of_step
from campaign.steps.decide import make_decisions
from campaign.steps.energies import correlation_of_step
from campaign.steps.features import compute_features_again, restore_features
from campaign.steps.predictions import write_known_again, write_predictions
from campaign.steps.rescore import screen_again, with_model_of_step
from campaign.steps.scoring_context import StoredScoringContext
from campaign.store.campaigns import OpenCampaign
from campaign.store.features import unusable_features
from campaign.store.predictions import discarded_ids, unscored_ids
from campaign.store.recalibration.fits import fits_newest_first
from campaign.store.states import STAGES
from campaign.store.steps import read_step
from esnet.ray.metrics import PROMOTED, RayMetrics
from launchers.database.settings import DatabaseSettings

logger = logging.getLogger(__name__)


def screen_step(campaign: OpenCampaign, database: DatabaseSettings, step_id: str, *, fw_id: int) -> None:
    """Score all ready candidates, decide on each, and submit the promoted ones.

    Predictions are written as they arrive, and decisions are made from the stored predictions once all exist: a Screen
    that
    is killed at any point and run again scores the remaining candidates and makes the same decisions.
    """
    campaign = with_model_of_step(campaign, step_id)
    with attempt(campaign.store, campaign=campaign.name, stage="screen", fw_id=fw_id) as entry:
        step = read_step(campaign, step_id)
        if campaign.spec.scorer.needs_dos:
            ids = unscored_ids(campaign)
        elif step.after is None:
            # without a DOS all candidates are ready from the start, and all Screens run in parallel, each on its own
            # batch
            ids = unscored_ids(campaign, batch=step.batch)
        else:
            ids = discarded_ids(campaign)
        correction = correction_of_step(campaign, step_id)
        correlation = correlation_of_step(campaign, step_id)
        if correlation is not None:
            logger.info("campaign %s: %s", campaign.name, correlation.describe())
        ids = write_known_again(campaign, step_id, ids, correction=correction, correlation=correlation)
        context = StoredScoringContext(database=database, campaign=campaign, step_id=step_id, on_usage=entry.add_usage)
        # one connection for all, so that decisions appear in Ray's metrics too; without candidates Ray is not needed
        with campaign.spec.scorer.connected(context) if ids else nullcontext():
            if ids:
                _predict(campaign, context, step_id, ids, correction, correlation)
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
    screening = campaign.spec.screening
    learns = screening.retrain_every is not None or screening.recalibrate_every is not None
    if learns or fits_newest_first(campaign):  # may have been in force until switched off
        screen_again(campaign, after=step_id)  # candidates it held with a model or fit that has been replaced


def _predict(
    campaign: OpenCampaign,
    context: StoredScoringContext,
    step_id: str,
    ids: Sequence[str],
    correction: Correction | None,
    correlation: Correlation | None,
) -> None:
    """Write predictions of all candidates with readable features; have the DOS of the others computed again."""
    is_dos = STAGES["dos"]

    def write(ids: Sequence[str]) -> list[str]:
        without: list[Score] = []

        def with_energy() -> Iterator[Score]:
            for score in checked_scores(campaign.spec.scorer.score(ids, context), ids):
                if campaign.spec.scorer.lacks_dos(score):
                    without.append(score)
                else:
                    yield score

        write_predictions(campaign, step_id, with_energy(), correction=correction, correlation=correlation)
        unread = unusable_features(campaign.store, [score.id for score in without], is_dos.name)
        if final := [score for score in without if score.id not in unread]:
            write_predictions(campaign, step_id, final, correction=correction, correlation=correlation)
        return list(unread)

    if not (unread := write(ids)):
        return
    lost = restore_features(campaign, context.database, unread, is_dos)
    if restored := [name for name in unread if name not in lost]:
        lost |= dict.fromkeys(write(restored), "features were damaged again while they were read")
    compute_features_again(campaign, lost, is_dos)
