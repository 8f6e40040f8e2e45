"""Features of a calculation: written once; if lost or damaged, restored from the JobStore or computed again.

A candidate with a computed DOS is never decided on, and a model never trained, without it.
"""

import logging
import zlib
from collections.abc import Collection, Mapping
from typing import Any

from campaign.attempts.outputs import output_uuids
from campaign.steps.calculate import job_output
from campaign.store.attempts import void_attempt
from campaign.store.campaigns import Campaign
from campaign.store.candidates import read_document
from campaign.store.collections import now
from campaign.store.documents import stage_fields
from campaign.store.features import unusable_features, write_features
from campaign.store.states import CandidateState, Stage
from launchers.database.job_store import open_job_store
from launchers.database.settings import DatabaseSettings
from workflows.dos import DosFeatures

logger = logging.getLogger(__name__)

_CAUSE = "features_lost"


class DamagedOutputError(ValueError):
    """The output of a features job cannot be read; the message names the job."""


def store_features(
    campaign: Campaign, document: Mapping[str, Any], stage: Stage, output: Mapping[str, Any]
) -> DosFeatures:
    """Write the output of a features job as the features of a stage of a candidate or a reference.

    Parameters
    ----------
    document
        With ``_id`` and ``composition``.

    Raises
    ------
    DamagedOutputError
        If the output is damaged; nothing is written then.
    """
    try:
        features = DosFeatures.from_json(output)
        features.decode()
    # any of these may be raised while a damaged output is read
    except (ValueError, TypeError, LookupError, AttributeError, zlib.error) as error:
        raise DamagedOutputError(
            f"the output of the features job of {document['_id']} ({stage.title}) is lost or damaged: {error!r}"
        ) from error
    stored = {
        "_id": f"{document['_id']}:{stage.name}",
        "campaign": campaign.name,
        "document": document["_id"],
        "kind": stage.name,
        "composition": document["composition"],
        "engine": campaign.spec.dft.engine,
        "quality": campaign.spec.dft.quality,
        **features.to_document(),
    }
    write_features(campaign.store, stored)
    return features


def restore_features(
    campaign: Campaign, database: DatabaseSettings, ids: Collection[str], stage: Stage
) -> dict[str, str]:
    """Restore lost or damaged features from the JobStore.

    Parameters
    ----------
    ids
        Candidates and references whose features of this stage have been computed; usable ones are left alone.

    Returns
    -------
    dict
        The problem of each candidate or reference whose features are no longer in the JobStore, by id.
    """
    unusable = unusable_features(campaign.store, sorted(ids), stage.name)
    if not unusable:
        return {}
    left: dict[str, str] = {}
    with open_job_store(database) as job_store:
        for document_id, why in unusable.items():
            document = read_document(campaign.store, document_id, ["composition", stage.fields]) or {"_id": document_id}
            uuid = output_uuids(document_id, stage, stage_fields(document, stage))["features"]
            try:
                store_features(campaign, document, stage, job_output(job_store, uuid))
            except DamagedOutputError as error:
                left[document_id] = f"{why}; {error}"
            else:
                logger.warning("%s: restored from the JobStore", why)
    return left


def compute_features_again(
    campaign: Campaign, lost: Mapping[str, str], stage: Stage, *, expected: str | None = None
) -> int:
    """Have the DOS computed again of candidates and references whose features are lost.

    The attempt that computed the features becomes a machine failure and counts as a failed try. Without tries left, the
    calculation has failed permanently.

    Parameters
    ----------
    lost
        The problems, by id (`restore_features`).
    expected
        Required state; by default the stage's done state.

    Returns
    -------
    int
        Number of calculations to be repeated.
    """
    again = 0
    for document_id, why in lost.items():
        facts = stage_fields(read_document(campaign.store, document_id, [stage.fields]) or {}, stage)
        attempt, first = int(facts.get("attempt") or 0), int(facts.get("first_attempt") or 0)
        entry = void_attempt(campaign.store, document_id, stage, fw_id=facts.get("fw_id"), cause=_CAUSE, error=why)
        failure: dict[str, Any] = {"stage": stage.name, "kind": "machine", "cause": _CAUSE, "error": why}
        failure |= {"attempt": entry, "time": now()}
        if attempt - first >= campaign.spec.retries.max_retries:
            logger.warning("%s of %s failed: %s", stage.title, document_id, why)
            changes: dict[str, Any] = {"final_failure": failure}
            campaign.store.move(document_id, stage, expected=expected or stage.done, to=stage.failed, changes=changes)
            continue
        logger.warning("%s of %s will be recomputed: %s", stage.title, document_id, why)
        changes = {f"{stage.fields}.attempt": attempt + 1, "retried_failure": failure}
        before = facts.get("from_state") or CandidateState.NEW
        again += campaign.store.move(document_id, stage, expected=expected or stage.done, to=before, changes=changes)
    return again
