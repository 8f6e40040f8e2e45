"""Record a finished calculation in its candidate, successful or not."""

import logging
from collections.abc import Mapping
from typing import Any

from jobflow import JobStore

from campaign.attempts.causes import NEEDS_MENDING
from campaign.attempts.escalation import escalated_for_attempt
from campaign.attempts.last_words import close_unclosed
from campaign.attempts.outputs import JOBS, uuids_of_try
from campaign.scheduling.stop import stop_if_alike
from campaign.steps.calculate import job_output
from campaign.steps.features import DamagedOutputError, compute_features_again, store_features
from campaign.store.attempts import count_lost_attempts, last_attempt, open_attempts
from campaign.store.campaigns import Campaign
from campaign.store.candidates import read_document
from campaign.store.collections import now
from campaign.store.documents import stage_fields
from campaign.store.states import Stage
from launchers.database.job_store import open_job_store
from launchers.database.settings import DatabaseSettings
from workflows.engine import EngineError, check_engine_version
from workflows.inputs.used_inputs import InputChangedError
from workflows.results import calculation_from_task, is_successful

logger = logging.getLogger(__name__)

#: Messages for attempts that could not report their end, by cause.
_ENDED_BY = {
    "cancelled": "its job was cancelled",
    "timeout": "its job reached its time limit",
    "out_of_memory": "its job ran out of memory",
    "node_fail": "its node failed",
    "not_started": "its job ended before the calculation started",
}


def record_calculation(
    campaign: Campaign, database: DatabaseSettings, *, document_id: str, stage: Stage, fw_id: int
) -> None:
    """Record the outcome of the current calculation of a stage.

    The outputs in the JobStore determine success, not the firework's state: a firework that fizzled after its
    calculation
    was complete has done its work. Running this twice records once.
    """
    document = read_document(campaign.store, document_id)
    if document is None:
        raise LookupError(f"there is no document {document_id}")
    facts = stage_fields(document, stage)
    state = document["state"] if stage.state_field == "state" else facts.get("state")
    if facts.get("record_fw_id") != fw_id or state != stage.running:
        logger.info("%s of %s is already recorded", stage.title, document_id)
        return
    with open_job_store(database) as job_store:
        outputs, unconverged = _outputs(job_store, document_id, stage, facts["attempt"])
    if outputs is not None or unconverged:
        # if the ledger could not be written at the end of the calculation, its outputs decide
        for entry in open_attempts(campaign.store, facts["fw_id"]):
            close_unclosed(campaign.store, entry, outcome="science" if unconverged else "completed")
    if outputs is None:
        _record_failure(campaign, document, stage, unconverged=unconverged)
        return
    try:
        if stage.name == "relax":
            changes = _calculation_facts(outputs, campaign, stage)
        else:
            changes = _dos_facts(campaign, outputs, document, stage)
    except DamagedOutputError as error:
        compute_features_again(campaign, {document_id: str(error)}, stage, expected=stage.running)
        return
    except (EngineError, ValueError) as error:
        # unusable outputs would be the same in every try, so the candidate fails with the reason
        failure = {
            "stage": stage.name,
            "kind": "machine",
            "cause": "input_changed" if isinstance(error, InputChangedError) else "unusable_output",
            "error": str(error),
            "directory": outputs[JOBS[stage.name][0]].get("dir_name"),
            "time": now(),
        }
        campaign.store.move(document_id, stage, to=stage.failed, changes={"final_failure": failure})
        logger.warning("%s of %s cannot be used: %s", stage.title, document_id, error)
        return
    campaign.store.move(document_id, stage, to=stage.done, changes=changes)


def _outputs(
    job_store: JobStore, document_id: str, stage: Stage, attempt: int
) -> tuple[dict[str, dict[str, Any]] | None, bool]:
    """Return the outputs of the stage's jobs by name, and whether the calculation finished unsuccessfully.

    The outputs are None unless all exist and the calculation was successful.
    """
    uuids = uuids_of_try(document_id, stage, attempt)
    outputs = {name: job_output(job_store, uuid) for name, uuid in uuids.items()}
    first = outputs[JOBS[stage.name][0]]
    if first is not None and not is_successful(first):
        return None, True
    if any(output is None for output in outputs.values()):
        return None, False
    return outputs, False


def _calculation_facts(outputs: Mapping[str, Any], campaign: Campaign, stage: Stage) -> dict[str, Any]:
    """Return the fields of the candidate common to all calculations."""
    settings = campaign.spec.dft_settings()
    calculation = calculation_from_task(outputs[JOBS[stage.name][0]])
    check_engine_version(calculation.vasp_version, settings)
    facts = {
        "energy": calculation.energy,  # eV, whole cell
        "cpu_s": calculation.cpu_s,
        "vasp_version": calculation.vasp_version,
        "engine": settings.engine,
        "quality": settings.quality,
        "corrections": calculation.corrections,
        "smearing_changed": calculation.smearing_changed,
        "kpoints_changed": calculation.kpoints_changed,
        "notes": calculation.notes,
        "potcars": calculation.potcars,
        "hubbards": calculation.hubbards,  # eV
        "directory": calculation.directory,
        "recorded": now(),
    }
    if stage.name == "relax":
        facts["structure"] = calculation.structure.as_dict()
        facts["energy_per_atom"] = calculation.energy / len(calculation.structure)  # eV/atom
    return {f"{stage.fields}.{key}": value for key, value in facts.items()}


def _dos_facts(
    campaign: Campaign, outputs: Mapping[str, Any], document: Mapping[str, Any], stage: Stage
) -> dict[str, Any]:
    """Store the features, and return the fields of the DOS."""
    features = store_features(campaign, document, stage, outputs["features"])
    return _calculation_facts(outputs, campaign, stage) | {
        f"{stage.fields}.features": f"{document['_id']}:{stage.name}",
        f"{stage.fields}.spacing": features.spacing,  # eV
        f"{stage.fields}.efermi": features.efermi,  # eV
    }


def _record_failure(campaign: Campaign, document: Mapping[str, Any], stage: Stage, *, unconverged: bool) -> None:
    """Send a machine failure back for another try while tries are left.

    A science failure is final, and so is any failure that no retry can fix.
    """
    facts = document[stage.fields]
    attempt = last_attempt(campaign.store, facts["fw_id"]) or {"outcome": "machine", "error": "the job never started"}
    unclosed = attempt["outcome"] == "running"
    if unclosed:
        # its process could not write the ledger, or was killed
        attempt = close_unclosed(campaign.store, attempt, outcome="machine", facts={"cause": "killed"})
    kind = "science" if unconverged or attempt["outcome"] == "science" else "machine"
    error = attempt.get("error") or _without_words(attempt)
    failure = {
        "stage": stage.name,
        "kind": kind,
        "cause": attempt.get("cause"),
        "error": error,
        "attempt": attempt.get("_id"),
        "host": attempt.get("host"),
        "directory": attempt.get("directory"),
        "time": now(),
    }
    # a lost firework was rerun in place until its tries were used up
    tried = facts["attempt"] - int(facts.get("first_attempt") or 0)
    if unclosed:
        tried += count_lost_attempts(campaign.store, facts["fw_id"]) - 1
    spent = attempt["outcome"] == "lost" or tried >= campaign.spec.retries.max_retries
    spent = spent or attempt.get("cause") in NEEDS_MENDING
    if kind == "machine" and not spent:
        logger.warning(
            "%s of %s failed because of its machine, and is retried: %s", stage.title, document["_id"], failure["error"]
        )
        changes = {f"{stage.fields}.attempt": facts["attempt"] + 1, "retried_failure": failure}
        queue = escalated_for_attempt(attempt, campaign.spec.retries, asked=facts.get("queue") or {})
        changes |= {f"{stage.fields}.queue.{name}": value for name, value in queue.items()}
        campaign.store.move(document["_id"], stage, to=facts["from_state"], changes=changes)
    else:
        logger.warning("%s of %s failed (%s): %s", stage.title, document["_id"], kind, failure["error"])
        campaign.store.move(document["_id"], stage, to=stage.failed, changes={"final_failure": failure})
    if kind == "machine":
        stop_if_alike(campaign)


def _without_words(attempt: Mapping[str, Any]) -> str | None:
    """Return the message for an attempt that left no error."""
    if attempt["outcome"] in ("lost", "machine"):
        ended = _ENDED_BY.get(attempt.get("cause") or "", "its process was killed")
        return f"{ended}, and no retries are left" if attempt["outcome"] == "lost" else ended
    return "it did not converge" if attempt["outcome"] == "completed" else None
