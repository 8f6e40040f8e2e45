"""One Screen: predictions, decisions, promotions."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING

from pymongo import UpdateOne

from campaign.decisions.ledger import attempt
from campaign.decisions.references import load_hull
from campaign.execution.budget import expected_costs
from campaign.execution.deciding import make_decisions
from campaign.execution.reconcile import reconcile
from campaign.execution.rescoring import screen_again, with_model_of_step
from campaign.feature_reader import FeatureReader
from campaign.loading import Campaign, load_campaign
from campaign.models import fetch_bundle
from campaign.store import CampaignStore, now

if TYPE_CHECKING:
    from fireworks import LaunchPad

    from esnet.scoring import Prediction as ModelPrediction
    from launchers.database import DatabaseSettings

logger = logging.getLogger(__name__)

_LARGEST_BATCH = 256


def screen_step(
    store: CampaignStore,
    database: DatabaseSettings,
    launchpad: LaunchPad,
    name: str,
    step_id: str,
    *,
    fw_id: int,
) -> None:
    """Score every candidate whose IS-DOS is there, decide on each, and submit the promoted ones.

    Predictions are written first and decisions are made from what was written, so a Screen that is killed anywhere
    and run again makes the same decisions.
    """
    campaign = with_model_of_step(store, load_campaign(store, name), step_id)
    with attempt(store, campaign=name, stage="screen", fw_id=fw_id):
        ready = store.candidates.find({"campaign": name, "state": "dos_done", "prediction": None}, ["_id"])
        ids = [found["_id"] for found in ready.sort("_id")]
        if ids:
            scored = _score(store, database, campaign, ids)
            store_predictions(
                store,
                campaign,
                step_id,
                ids,
                {key: math.nan if found.e_form is None else found.e_form for key, found in scored.items()},
                uncertainty={key: found.uncertainty for key, found in scored.items()},
                novel={key: found.novel for key, found in scored.items()},
            )
        decided = make_decisions(store, campaign, step_id)
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


def _score(
    store: CampaignStore, database: DatabaseSettings, campaign: Campaign, ids: Sequence[str]
) -> dict[str, ModelPrediction]:
    """What the model says, by candidate."""
    from esnet.ray_session import ray_session
    from esnet.scoring import score

    spec = campaign.spec
    bundle = fetch_bundle(store, campaign.document["model"]["checksum"])
    reader = FeatureReader(
        database=database, kind="dos", composition=campaign.document["model"]["representation"]["composition"]
    )
    with ray_session():
        scored = score(
            ids,
            bundle_path=bundle,
            read_features=reader,
            n_actors=spec.screening.actors,
            # every actor gets its share, and none more than fits into memory (216 kB a candidate)
            batch_size=min(_LARGEST_BATCH, math.ceil(len(ids) / spec.screening.actors)),
            num_gpus_per_actor=spec.screening.gpus_per_actor,
            representation=spec.representation(),
        )
        missing = [prediction for prediction in scored if prediction.e_form is None]
        for prediction in missing:
            logger.warning("no prediction for %s: %s", prediction.id, prediction.reason)
        return {prediction.id: prediction for prediction in scored}


def store_predictions(
    store: CampaignStore,
    campaign: Campaign,
    step_id: str,
    ids: Sequence[str],
    e_form: Mapping[str, float],
    *,
    uncertainty: Mapping[str, float | None] = MappingProxyType({}),
    novel: Mapping[str, bool | None] = MappingProxyType({}),
) -> None:
    """Write predictions and hull distances into candidates that have none yet.

    Parameters
    ----------
    store, campaign
        The campaign, with a model and a reference set.
    step_id
        The Screen that predicts.
    ids
        Candidates whose IS-DOS is done.
    e_form
        Predicted formation energies, eV/atom; NaN or absent where there is no prediction.
    uncertainty
        Their standard deviations, eV/atom; None or absent where the model cannot say.
    novel
        Whether the model has never seen the like; None or absent where it cannot say.
    """
    from pymatgen.core import Composition

    costs = expected_costs(store, campaign)
    compositions: dict[str, Composition] = {}
    relax_cpu_s: dict[str, float] = {}
    for found in store.candidates.find({"_id": {"$in": list(ids)}}, ["composition", "n_sites"]):
        compositions[found["_id"]] = Composition(found["composition"])
        relax_cpu_s[found["_id"]] = costs.relaxation(found)
    reference_set = campaign.document["reference_set"]
    energies = [e_form.get(name, math.nan) for name in ids]
    distances = load_hull(store, reference_set).distances([compositions[name] for name in ids], energies)
    model = campaign.document["model"]["checksum"]
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
