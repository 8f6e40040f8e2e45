"""One stage of one candidate, computed: the jobflow flow of `workflows`, run in this process."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from campaign.decisions.failures import ScienceFailureError
from campaign.decisions.ledger import attempt
from campaign.execution.held import hold_at_launch
from campaign.loading import load_campaign
from campaign.stages import Stage
from campaign.store import CampaignStore

if TYPE_CHECKING:
    from jobflow import Flow, JobStore

    from campaign.spec import CampaignSpec
    from launchers.database import DatabaseSettings

logger = logging.getLogger(__name__)


class StageIsOverError(RuntimeError):
    """A firework came late: its candidate has gone on without it."""


def flow_key(document_id: str, stage: Stage, attempt_number: int) -> str:
    """Key that names the jobs of one try of a stage; the same try always has the same uuids."""
    return f"{document_id}:{stage.name}:{attempt_number}"


def flow_for(document: dict[str, Any], spec: CampaignSpec, stage: Stage, *, vasp_command: str | None = None) -> Flow:
    """Return the jobflow flow of a stage; `document` is a candidate or a reference."""
    from pymatgen.core import Structure

    from workflows.dos import dos_flow
    from workflows.relaxation import relaxation_flow

    settings = spec.dft_settings()
    key = flow_key(document["_id"], stage, document[stage.facts]["attempt"])
    if stage.name == "relax":
        structure = Structure.from_dict(document["structure"])
        return relaxation_flow(structure, settings, vasp_command=vasp_command, key=key)
    source = document["structure"] if stage.name == "dos" else document["relaxation"]["structure"]
    return dos_flow(
        Structure.from_dict(source),
        settings,
        normalisation=spec.model.representation.normalisation,
        energy_reference=spec.model.representation.energy_reference,
        vasp_command=vasp_command,
        name=stage.title,
        key=key,
    )


def run_calculation(
    store: CampaignStore, database: DatabaseSettings, *, document_id: str, stage: Stage, fw_id: int
) -> None:
    """Compute one stage in the current directory; outputs go to the JobStore.

    A job whose output is in the JobStore already is not run again, so a firework that is launched twice (a worker
    died after the calculation, before it could say so) costs nothing.

    Raises
    ------
    ScienceFailureError
        If the calculation ended unsuccessfully.
    StageIsOverError
        If this firework no longer speaks for the candidate.
    """
    from workflows.engine import engine_command, engine_environment
    from workflows.results import cpu_seconds

    document = store.collection_of(document_id).find_one({"_id": document_id})
    if document is None or (document.get(stage.facts) or {}).get("fw_id") != fw_id:
        raise StageIsOverError(f"firework {fw_id} ({stage.title}) is not the current one of {document_id}")
    campaign = load_campaign(store, document["campaign"])
    if hold_at_launch(store, campaign, document, stage) is not None:
        return
    spec = campaign.spec
    settings = spec.dft_settings()
    with (
        attempt(store, campaign=spec.name, stage=stage.name, fw_id=fw_id, document=document_id) as entry,
        engine_environment(settings),
        database.job_store() as job_store,
    ):
        flow = flow_for(document, spec, stage, vasp_command=engine_command(settings))
        for job in flow.jobs:
            if job_output(job_store, job.uuid) is not None:
                logger.info("%s of %s: the output is there already", job.name, document["formula"])
                continue
            response = job.run(job_store)
            if job is flow.jobs[0]:
                entry.cpu_s = cpu_seconds(job_output(job_store, job.uuid))
            if response.stop_children:
                raise ScienceFailureError(
                    f"{stage.title} of {document['formula']} ({document_id}) did not converge, or custodian gave up"
                )


def job_output(job_store: JobStore, uuid: str) -> Any:
    """Output of a job without its large objects (a CompleteDos), or None where it has none yet.

    Parameters
    ----------
    job_store
        Connected JobStore.
    uuid
        The job's uuid.
    """
    found = job_store.query_one({"uuid": uuid}, properties=["output"], sort={"index": -1}, load=False)
    return None if found is None else found["output"]
