"""One Screen: predictions, decisions, promotions."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from pymongo import UpdateOne

from campaign.decisions.ledger import Attempt, attempt
from campaign.decisions.references import load_hull
from campaign.decisions.scorers import Score, ScoringContext, scores_by_id
from campaign.execution.budget import expected_costs
from campaign.execution.deciding import make_decisions
from campaign.execution.reconcile import reconcile
from campaign.execution.rescoring import screen_again, with_model_of_step
from campaign.loading import Campaign, load_campaign
from campaign.store import CampaignStore, now
from esnet.ray_metrics import PROMOTED, RayMetrics

if TYPE_CHECKING:
    from fireworks import LaunchPad

    from esnet.scoring import Usage
    from launchers.database import DatabaseSettings

logger = logging.getLogger(__name__)


def screen_step(
    store: CampaignStore,
    database: DatabaseSettings,
    launchpad: LaunchPad,
    name: str,
    step_id: str,
    *,
    fw_id: int,
) -> None:
    """Score every candidate that is ready for it, decide on each, and submit the promoted ones.

    Predictions are written first and decisions are made from what was written, so a Screen that is killed anywhere
    and run again makes the same decisions.
    """
    campaign = with_model_of_step(store, load_campaign(store, name), step_id)
    with attempt(store, campaign=name, stage="screen", fw_id=fw_id) as entry:
        ready = store.candidates.find(_unscored(campaign, step_id), ["_id"])
        ids = [found["_id"] for found in ready.sort("_id")]
        context = ScoringContext(
            store=store,
            database=database,
            campaign=campaign,
            step_id=step_id,
            on_usage=lambda usage: _add_usage(entry, usage),
        )
        # one connection for all: the decisions show in Ray's metrics too. Without candidates Ray is not needed
        with campaign.spec.scorer.connected(context) if ids else nullcontext():
            if ids:
                _score(context, ids)
            decided = make_decisions(store, campaign, step_id)
            RayMetrics(name).add(PROMOTED, sum(decision.promoted for decision in decided))
        logger.info(
            "campaign %s: %d candidates scored, %d promoted, %d held, %d audited",
            name,
            len(decided),
            sum(d.promoted for d in decided),
            sum(d.outcome == "held" for d in decided),
            sum(d.audit for d in decided),
        )
        store.close_step(step_id)
    if campaign.spec.screening.retrain_every is not None:
        screen_again(store, launchpad, name, after=step_id)  # what it held with a model that has got a successor
    # submits the relaxations, and repairs on the way what killed workers left behind since the last Screen
    reconcile(store, launchpad, name)


def _unscored(campaign: Campaign, step_id: str) -> dict[str, Any]:
    """Filter of the candidates that a Screen scores."""
    waiting: dict[str, Any] = {"campaign": campaign.spec.name, "state": "dos_done", "prediction": None}
    batch = step_id.rsplit("/", 1)[1]
    if not campaign.spec.scorer.needs_dos and batch.isdigit():
        # all are ready from the start, and all Screens run at once: each does its own batch
        waiting["batch"] = int(batch)
    return waiting


def _add_usage(entry: Attempt, usage: Usage) -> None:
    """Put what the scorer used elsewhere into the ledger's entry."""
    entry.elsewhere_cpu_s += usage.cpu_s
    entry.gpu_s += usage.gpu_s


def _score(context: ScoringContext, ids: Sequence[str]) -> None:
    """Ask the scorer, and write down what it says."""
    campaign = context.campaign
    scored: dict[str, Score] = scores_by_id(campaign.spec.scorer.score(ids, context), ids)
    store_predictions(
        context.store,
        campaign,
        str(context.step_id),
        ids,
        {key: math.nan if found.e_form is None else found.e_form for key, found in scored.items()},
        uncertainty={key: found.uncertainty for key, found in scored.items()},
        novel={key: found.novel for key, found in scored.items()},
        reasons={key: found.reason for key, found in scored.items()},
    )


def store_predictions(
    store: CampaignStore,
    campaign: Campaign,
    step_id: str,
    ids: Sequence[str],
    e_form: Mapping[str, float],
    *,
    uncertainty: Mapping[str, float | None] = MappingProxyType({}),
    novel: Mapping[str, bool | None] = MappingProxyType({}),
    reasons: Mapping[str, str | None] = MappingProxyType({}),
) -> None:
    """Write predictions and hull distances into candidates that have none yet.

    Parameters
    ----------
    store, campaign
        The campaign, with a reference set, and a model where its scorer needs one.
    step_id
        The Screen that predicts.
    ids
        Candidates that were scored.
    e_form
        Predicted formation energies, eV/atom; NaN or absent where there is no prediction.
    uncertainty
        Their standard deviations, eV/atom; None or absent where the model cannot say.
    novel
        Whether the model has never seen the like; None or absent where it cannot say.
    reasons
        Why there is no prediction; None or absent where there is one.
    """
    from pymatgen.core import Composition

    costs = expected_costs(store, campaign)
    # what is relaxed gets an RS-DOS then, for the next model to learn from
    rs_dos_cpu_s = 0.0 if campaign.spec.screening.retrain_every is None else costs.dos_cpu_s
    compositions: dict[str, Composition] = {}
    relax_cpu_s: dict[str, float] = {}
    for found in store.candidates.find({"_id": {"$in": list(ids)}}, ["composition", "n_sites"]):
        compositions[found["_id"]] = Composition(found["composition"])
        relax_cpu_s[found["_id"]] = costs.relaxation(found) + rs_dos_cpu_s
    reference_set = campaign.document["reference_set"]
    energies = [e_form.get(name, math.nan) for name in ids]
    distances = load_hull(store, reference_set).distances([compositions[name] for name in ids], energies)
    model = (campaign.document.get("model") or {}).get("checksum")
    scorer = campaign.spec.scorer.identity(campaign)
    store.bulk_update(
        [
            UpdateOne(
                {"_id": name, "state": "dos_done", "prediction": None},
                {
                    "$set": {
                        "prediction": {
                            "e_form": float(energy),  # eV/atom
                            "e_hull": float(distance),  # eV/atom
                            "uncertainty": uncertainty.get(name),  # eV/atom
                            "novel": novel.get(name),
                            "relax_cpu_s": relax_cpu_s[name],
                            "reason": reasons.get(name),
                            "scorer": scorer,
                            "model": model,
                            "reference_set": reference_set,
                            "step": step_id,
                            "time": now(),
                        }
                    }
                },
            )
            for name, energy, distance in zip(ids, energies, distances, strict=True)
        ]
    )
