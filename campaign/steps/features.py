"""Features of a calculation: written, and where they are lost or damaged, taken from the JobStore or computed again.

A candidate is never judged, and a model never trained, without a DOS that was once computed for it.
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
    """The output of a features job cannot be read; the message names it."""


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
    # whatever a damaged output makes of reading it
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
    """Take features that are lost or damaged from the JobStore again.

    Parameters
    ----------
    ids
        Candidates and references whose features of this stage were computed once; usable ones are left alone.

    Returns
    -------
    dict
        Those whose features are no longer in the JobStore, with the problem, by id.
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
    """Send candidates and references back for another try of the DOS whose features are lost.

    It counts as a failed try: the attempt that had computed the features is a machine failure now. Where the tries are
    used up, the calculation has failed permanently.

    Parameters
    ----------
    lost
        What was found, by id (`restore_features`).
    expected
        State they must be in; the stage's done state by default.

    Returns
    -------
    int
        How many are computed again.
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
