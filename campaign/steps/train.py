"""The training step: train ESNet on the campaign's own relaxations."""

import logging
import tempfile
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from campaign.attempts.ledger import attempt
from campaign.hull.corrections import relaxed_fields
from campaign.references.reference_sets import correction_scheme, relaxed_formation_energies
from campaign.scheduling.advance import advance
from campaign.steps.features import compute_features_again, restore_features
from campaign.store.campaigns import Campaign, OpenCampaign, write_first_model
from campaign.store.collections import now
from campaign.store.features import FeatureReader
from campaign.store.models import model_summary, register_bundle
from campaign.store.states import STAGES
from campaign.store.steps import withdraw_step
from campaign.store.training_samples import bootstrap_results, references_with_rs_dos
from esnet.bundle.info import BundleInfo
from esnet.bundle.record import TrainingRecord
from esnet.ray.session import ray_session
from esnet.training.in_ray import train_in_ray
from launchers.database.settings import DatabaseSettings

logger = logging.getLogger(__name__)


def train_step(campaign: OpenCampaign, database: DatabaseSettings, step_id: str, *, fw_id: int) -> None:
    """Train on the RS-DOS of the bootstrap sample and the references, and register the bundle."""
    with attempt(campaign.store, campaign=campaign.name, stage="train", fw_id=fw_id) as entry:
        if campaign.document.get("model") is None:
            targets = rs_dos_targets(campaign)
            if wait_for_features(campaign, database, targets, step_id):
                return
            checksum, entry.cpu_s = _train(campaign, database, step_id, targets)
            model = model_summary(campaign.store, checksum, source="bootstrap") | {"step": step_id, "time": now()}
            write_first_model(campaign, model)
        campaign.store.close_step(step_id)
        advance(campaign)


def rs_dos_targets(campaign: Campaign) -> dict[str, float]:
    """Return the formation energies (eV/atom) of bootstrap structures and references with an RS-DOS, by id."""
    targets = {found["_id"]: float(found["result"]["e_form_per_atom"]) for found in bootstrap_results(campaign)}
    reference_set = campaign.reference_set
    phases = references_with_rs_dos(campaign, relaxed_fields(correction_scheme(campaign.store, reference_set)))
    return targets | relaxed_formation_energies(campaign.store, reference_set, phases)


def wait_for_features(campaign: OpenCampaign, database: DatabaseSettings, ids: Collection[str], step_id: str) -> bool:
    """Whether a training must wait for RS-DOS that are computed again because their features are lost.

    If so, the step is withdrawn; it becomes due again when they are complete.
    """
    rs_dos = STAGES["rs_dos"]
    lost = restore_features(campaign, database, ids, rs_dos)
    if not lost:
        return False
    again = compute_features_again(campaign, lost, rs_dos)
    if again:
        logger.warning("campaign %s: the training waits for RS-DOS that are recomputed: %d", campaign.name, again)
        withdraw_step(campaign, step_id)
        advance(campaign)
    return bool(again)


def _train(
    campaign: Campaign, database: DatabaseSettings, step_id: str, targets: Mapping[str, float]
) -> tuple[str, float]:
    """Train; return the bundle's checksum and the CPU-seconds used by Ray's worker."""
    composition = campaign.spec.model.representation.composition
    ids, dos, compositions = FeatureReader(database=database, kind="rs_dos", composition=composition)(sorted(targets))
    logger.info("campaign %s: training on %d structures", campaign.name, len(ids))
    energies = np.array([targets[name] for name in ids], dtype=np.float64)
    samples = {"ids": ids, "dos": dos, "compositions": compositions, "targets": energies}
    corrections = correction_scheme(campaign.store, campaign.reference_set)
    record, info = train_bundle(campaign, step_id, samples, corrections=corrections)
    return info.checksum, record.cpu_s


def train_bundle(
    campaign: Campaign, step_id: str, samples: Mapping[str, Any], *, corrections: str | None
) -> tuple[TrainingRecord, BundleInfo]:
    """Train in Ray on samples (arguments of `train_in_ray`), and register the bundle.

    Parameters
    ----------
    corrections
        Corrections contained in the samples' formation energies, ``none`` or ``mp2020``; None if unknown.
    """
    spec = campaign.spec
    # in the launch directory, which all nodes of a cluster share: Ray may train on another node
    with tempfile.TemporaryDirectory(prefix="bundle-", dir=Path.cwd()) as folder, ray_session(name=step_id):
        bundle = Path(folder) / "bundle"
        record = train_in_ray(
            bundle,
            name=step_id,
            settings=spec.training_settings(),
            representation=spec.representation(),
            source=spec.data_source() | ({} if corrections is None else {"corrections": corrections}),
            **samples,
        )
        register_bundle(campaign.store, bundle)
        return record, BundleInfo.read(bundle)
