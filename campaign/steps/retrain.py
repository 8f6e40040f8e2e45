"""The retraining step: fine-tune the campaign's model on the results obtained since."""

import logging
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from campaign.attempts.ledger import attempt
from campaign.references.reference_sets import correction_scheme
from campaign.scheduling.advance import advance
from campaign.steps.features import restore_features
from campaign.steps.rescore import screen_again
from campaign.steps.train import rs_dos_targets, train_bundle, wait_for_features
from campaign.store.campaigns import Campaign, OpenCampaign, replace_model
from campaign.store.collections import now
from campaign.store.documents import ModelSummary
from campaign.store.features import FeatureReader
from campaign.store.listings import relaxed_structures
from campaign.store.models import fetch_bundle, model_summary
from campaign.store.states import STAGES, RsDosState, StepState
from campaign.store.steps import read_step
from campaign.store.training_samples import count_to_learn_from, screened_results
from esnet.dataset.mp2020 import convert_formation_energy
from esnet.training.network import TrainingError
from launchers.database.settings import DatabaseSettings

logger = logging.getLogger(__name__)


def retrain_step(campaign: OpenCampaign, database: DatabaseSettings, step_id: str, *, fw_id: int) -> None:
    """Fine-tune the model, make the new one the campaign's, and have the waiting candidates scored again.

    The new model and the step that made it are written in one update, so a step that is killed at any point and run
    again
    makes one new model. With too little data for a new model, the old one is kept, the step records why, and the
    campaign
    continues.
    """
    if read_step(campaign, step_id).state == StepState.DONE:  # killed between its last write and FireWorks'
        advance(campaign)
        return
    with attempt(campaign.store, campaign=campaign.name, stage="train", fw_id=fw_id) as entry:
        made = _model_of_step(campaign, step_id)
        n_relaxed = count_to_learn_from(campaign)
        facts: dict[str, Any] = {"n_relaxed": n_relaxed}
        if made is None:
            restore_features(campaign, database, [found["_id"] for found in screened_results(campaign)], STAGES["dos"])
            if wait_for_features(campaign, database, _rs_dos_energies(campaign), step_id):
                return
            try:
                trained, entry.cpu_s = _train_on(campaign, database, step_id)
            except TrainingError as error:
                logger.warning("campaign %s: no new model; the previous one is kept: %s", campaign.name, error)
                facts |= {"outcome": "no model", "reason": str(error)}
            else:
                trained |= {"step": step_id, "time": now(), "n_relaxed": n_relaxed}
                replace_model(campaign, trained, previous=campaign.model)
                old, new = campaign.model["checksum"][:12], trained["checksum"][:12]
                logger.info("campaign %s: new model %s after %s", campaign.name, new, old)
                made = _model_of_step(campaign.refresh(), step_id)
        if made is not None:
            facts = {"n_relaxed": made["n_relaxed"], "outcome": "new model", "model": made["checksum"]}
            screen_again(campaign, after=step_id)
        campaign.store.close_step(step_id, facts)
        advance(campaign)


def _model_of_step(campaign: Campaign, step_id: str) -> ModelSummary | None:
    """Return the model made by an earlier run of this step, or None."""
    models = campaign.document.get("models") or []
    return next((model for model in models if model.get("step") == step_id), None)


@dataclass(frozen=True, kw_only=True)
class _Found:
    """Training data found in a campaign.

    Attributes
    ----------
    ids, materials, kinds
        Of n samples; a material has an IS-DOS, an RS-DOS, or both.
    bootstrap
        Materials that the campaign's first model was trained on, if the campaign made that model.
    dos, compositions, energies
        (n, 2, 1500, 9); (n, 111); (n,) formation energies of the relaxed crystals, eV/atom.
    """

    ids: list[str]
    materials: list[str]
    kinds: list[str]
    bootstrap: list[str]
    dos: NDArray[np.float32]
    compositions: NDArray[np.float32]
    energies: NDArray[np.float64]

    def count(self) -> dict[str, int]:
        """Return the number of samples of each kind."""
        return {kind: self.kinds.count(kind) for kind in ("is_dos", "rs_dos")}


def _found(campaign: Campaign, database: DatabaseSettings) -> _Found:
    """Collect the IS-DOS of relaxed candidates and every RS-DOS, with the formation energies of the relaxed crystals.

    Raises
    ------
    TrainingError
        If there are no samples.
    """
    is_dos = {document["_id"]: document["result"]["e_form_per_atom"] for document in screened_results(campaign)}
    bootstrap = rs_dos_targets(campaign)
    rs_dos = _rs_dos_energies(campaign)
    learnable = _with_corrections_of_model(campaign, is_dos | rs_dos)
    composition = campaign.model["representation"]["composition"]
    ids, materials, kinds, blocks, energies = [], [], [], [], []
    for stage, kind, targets in (("dos", "is_dos", is_dos), ("rs_dos", "rs_dos", rs_dos)):
        reader = FeatureReader(database=database, kind=stage, composition=composition)
        names, dos, compositions = reader(sorted(targets.keys() & learnable.keys()))
        ids += [f"{name}:{kind}" for name in names]
        materials += names
        kinds += [kind] * len(names)
        blocks.append((dos, compositions))
        energies += [learnable[name] for name in names]
    if not ids:
        raise TrainingError(f"campaign {campaign.name!r} has no DOS of relaxed structures to train on")
    dos, compositions = (np.concatenate(arrays) for arrays in zip(*blocks, strict=True))
    return _Found(
        ids=ids,
        materials=materials,
        kinds=kinds,
        bootstrap=sorted(bootstrap),
        dos=dos,
        compositions=compositions,
        energies=np.array(energies),
    )


def _with_corrections_of_model(campaign: Campaign, targets: dict[str, float]) -> dict[str, float]:
    """Return the targets with the corrections contained in the model's energies; those mp2020 cannot treat are left
    out.
    """
    given, wanted = correction_scheme(campaign.store, campaign.reference_set), campaign.model_corrections
    if wanted in (None, given):
        return targets
    converted = {}
    for document in relaxed_structures(campaign, ["relaxation.structure"]):
        if document["_id"] in targets:
            crystal = document["relaxation"]["structure"]
            found = convert_formation_energy(targets[document["_id"]], crystal, given=given, wanted=str(wanted))
            if found.energy is not None:
                converted[document["_id"]] = found.energy
    return converted


def _rs_dos_energies(campaign: Campaign) -> dict[str, float]:
    """Return the formation energies (eV/atom) of everything with an RS-DOS, by id."""
    return rs_dos_targets(campaign) | {
        document["_id"]: document["result"]["e_form_per_atom"]
        for document in screened_results(campaign)
        if (document.get("rs_dos") or {}).get("state") == RsDosState.DONE
    }


def _train_on(campaign: Campaign, database: DatabaseSettings, step_id: str) -> tuple[ModelSummary, float]:
    """Fine-tune; return the new model's fields of the campaign document, and the CPU-seconds of Ray's worker."""
    spec, before = campaign.spec, campaign.model
    found = _found(campaign, database)
    logger.info("campaign %s: fine-tuning with %d samples", spec.name, len(found.ids))
    samples = {
        "dos": found.dos,
        "compositions": found.compositions,
        "targets": found.energies,
        "ids": found.ids,
        "materials": found.materials,
        "kinds": found.kinds,
        "initial": fetch_bundle(campaign.store, before["checksum"]),
        # a given bundle describes its own training data, if it can
        "earlier": found.bootstrap if spec.model.bundle is None else None,
    }
    record, info = train_bundle(campaign, step_id, samples, corrections=campaign.model_corrections)
    model = model_summary(campaign.store, info.checksum, source="retrained") | {
        "initial": before["checksum"],
        "trained_on": found.count() | {"n_train": record.n_train, "n_validation": record.n_validation},
        "n_new": record.initial["n_new"] if record.initial else None,
        "validation_mae": record.mae_validation,  # eV/atom
    }
    # data of previous models count even if they were not used again
    ever = (info.assessment or {}).get("training", {}).get("n_materials_ever", 0)
    model["n_structures"] = max(model["n_structures"], before["n_structures"] or 0, ever)
    return model, sum(each.cpu_s for each in info.records)
