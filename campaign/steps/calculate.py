"""Compute one stage of one candidate: run the jobflow flow of `workflows` in this process."""

import itertools
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from functools import partial
from pathlib import Path
from typing import Any

from jobflow import Flow, Job, JobStore
from pymatgen.core import Structure

from campaign.attempts.causes import codes_of, custodian_cause
from campaign.attempts.failures import ScienceFailureError
from campaign.attempts.ledger import Attempt, attempt
from campaign.attempts.outputs import JOBS, flow_key, uuids_of_try
from campaign.attempts.overrides import incar_overrides
from campaign.attempts.restart import last_geometry
from campaign.budget.at_launch import hold_at_launch
from campaign.spec.campaign_spec import CampaignSpec
from campaign.steps.launch_folder import own_folder
from campaign.store.attempts import attempt_directories, count_outputs, has_completed_attempt
from campaign.store.campaigns import Campaign
from campaign.store.candidates import read_document, write_restart
from campaign.store.collections import CampaignStore
from campaign.store.documents import stage_fields
from campaign.store.states import Stage
from launchers.database.job_store import open_patient_job_store
from launchers.database.patience import patiently
from launchers.database.patient_job_store import PatientJobStore
from launchers.database.settings import DatabaseSettings
from workflows.dos import dos_flow
from workflows.engine import CalculationKind, EngineCommand, engine_command, engine_environment
from workflows.inputs.used_inputs import ASKED, read_inputs
from workflows.relaxation import relaxation_flow
from workflows.results import cpu_seconds, is_successful
from workflows.scratch import node_scratch, scratch_root

logger = logging.getLogger(__name__)


class StageIsOverError(RuntimeError):
    """The firework came too late: its candidate has moved on without it."""


def flow_for(
    document: Mapping[str, Any],
    spec: CampaignSpec,
    stage: Stage,
    *,
    vasp_command: EngineCommand | None = None,
    start: Structure | None = None,
) -> Flow:
    """Return the jobflow flow of a stage of a candidate or a reference.

    Parameters
    ----------
    vasp_command
        Command of the engine on this machine. If None, atomate2's default.
    start
        Geometry from which a relaxation continues. If None, the initial one.
    """
    settings = spec.dft_settings()
    key = flow_key(document["_id"], stage, document[stage.fields]["attempt"])
    if stage.name == "relax":
        structure = Structure.from_dict(document["structure"])
        return relaxation_flow(
            structure, settings, vasp_command=vasp_command, key=key, start=start, incar=incar_overrides(document, stage)
        )
    source = document["structure"] if stage.name == "dos" else document["relaxation"]["structure"]
    return dos_flow(
        Structure.from_dict(source),
        settings,
        normalisation=spec.model.representation.normalisation,
        energy_reference=spec.model.representation.energy_reference,
        vasp_command=vasp_command,
        name=stage.title,
        key=key,
        incar=incar_overrides(document, stage),
    )


def run_calculation(
    campaign: Campaign, database: DatabaseSettings, *, document_id: str, stage: Stage, fw_id: int
) -> None:
    """Compute one stage in the current directory and store its outputs in the JobStore.

    A job whose output is already in the JobStore is not run again, so a firework launched twice (because a worker died
    after the calculation but before reporting it) costs nothing.

    Raises
    ------
    ScienceFailureError
        If the calculation finished unsuccessfully.
    StageIsOverError
        If this firework is no longer the candidate's current one.
    """
    wait_s = campaign.spec.retries.database_wait_s
    document = patiently(partial(read_document, campaign.store, document_id), wait_s=wait_s)
    if document is None or stage_fields(document, stage).get("fw_id") != fw_id:
        raise StageIsOverError(f"firework {fw_id} ({stage.title}) is not the current one of {document_id}")
    if campaign.is_halted:
        # its job was already in the queue: it is resubmitted, as the same try, when the campaign resumes
        back = partial(campaign.store.move, document_id, stage, to=stage_fields(document, stage)["from_state"])
        patiently(back, wait_s=wait_s)
        logger.warning("%s of %s is not started: the campaign is paused or stopped", stage.title, document_id)
        return
    if patiently(partial(hold_at_launch, campaign, document, stage), wait_s=wait_s) is not None:
        return
    if patiently(partial(_is_computed, campaign.store, document, stage), wait_s=wait_s):
        logger.info("%s of %s was already computed; it only has to be recorded", stage.title, document["formula"])
        return
    spec = campaign.spec
    settings = spec.dft_settings()
    with (
        own_folder(),
        attempt(
            campaign.store,
            campaign=spec.name,
            stage=stage.name,
            fw_id=fw_id,
            document=document_id,
            database_wait_s=wait_s,
            has_engine=True,
        ) as entry,
        engine_environment(settings),
        node_scratch(scratch_root(settings), Path.cwd()) as scratch,
        open_patient_job_store(database, directory=Path.cwd(), wait_s=wait_s) as job_store,
    ):
        patiently(partial(store_waiting_outputs, campaign.store, job_store, document, stage), wait_s=wait_s)
        start = patiently(partial(_start_of, campaign, job_store, document, stage, fw_id), wait_s=wait_s)
        kind: CalculationKind = "relaxation" if stage.name == "relax" else "dos"
        command = engine_command(settings, kind, scratch=scratch)
        flow = flow_for(document, spec, stage, vasp_command=command, start=start)
        for job in flow.jobs:
            read_output = partial(job_output, job_store, job.uuid)
            if patiently(read_output, wait_s=wait_s) is not None:
                logger.info("%s of %s: the output is already in the database", job.name, document["formula"])
            else:
                with noted_inputs(entry, job) if job is flow.jobs[0] else nullcontext():
                    job.run(job_store)
                if job is flow.jobs[0]:
                    entry.cpu_s = cpu_seconds(patiently(read_output, wait_s=wait_s))
            if job is flow.jobs[0] and not is_successful(task := patiently(read_output, wait_s=wait_s)):
                codes = codes_of(task.get("custodian"))
                raise ScienceFailureError(
                    f"{stage.title} of {document['formula']} ({document_id}) did not converge, or custodian gave up",
                    cause=custodian_cause(codes),
                )


def has_outputs(store: CampaignStore, document_id: str, stage: Stage, attempt_number: int) -> bool:
    """Whether the JobStore holds the outputs of all jobs of one try of a stage."""
    uuids = uuids_of_try(document_id, stage, attempt_number)
    return count_outputs(store, list(uuids.values())) == len(uuids)


def _is_computed(store: CampaignStore, document: Mapping[str, Any], stage: Stage) -> bool:
    """Whether this try has already succeeded, in this firework or in one deleted before the result was recorded.

    Its attempt is in the ledger then; another entry would count it twice.
    """
    document_id = document["_id"]
    return has_completed_attempt(store, document_id, stage) and has_outputs(
        store, document_id, stage, document[stage.fields]["attempt"]
    )


@contextmanager
def noted_inputs(entry: Attempt, job: Job) -> Iterator[None]:
    """Record in the ledger the inputs requested of an atomate2 job and, afterwards, those found in its folder."""
    asked = dict(job.maker.task_document_kwargs["additional_fields"][ASKED])
    noted = {"outside": asked.pop("outside"), "notes": asked.pop("notes"), "asked": asked}
    entry.inputs = noted
    try:
        yield
    finally:
        entry.inputs = noted | {"used": read_inputs(Path.cwd())}


def store_waiting_outputs(
    store: CampaignStore, job_store: PatientJobStore, document: Mapping[str, Any], stage: Stage
) -> None:
    """Store outputs that earlier tries computed but could not store; they wait in their launch directories."""
    facts = document[stage.fields]
    changed = any(entry["stage"] == stage.name for entry in document.get("overrides") or [])
    # results from before a person changed the candidate's settings are not those requested now
    first = int(facts.get("first_attempt") or 0) if changed else 0
    directories = attempt_directories(store, document["_id"], stage)
    tries = [uuids_of_try(document["_id"], stage, number) for number in range(facts["attempt"], first - 1, -1)]
    for job in JOBS[stage.name]:
        now, *earlier = [uuids[job] for uuids in tries]
        if job_output(job_store, now) is not None:
            continue
        for directory, uuid in itertools.product(directories, [now, *earlier]):
            if job_store.store_kept(Path(directory), uuid, as_uuid=now):
                logger.info("%s of %s: the output waited in %s", stage.title, document["formula"], directory)
                break


def _start_of(
    campaign: Campaign, job_store: JobStore, document: Mapping[str, Any], stage: Stage, fw_id: int
) -> Structure | None:
    """Return the geometry stored with its candidate from which a relaxation continues, or None to start from the
    initial one.

    An IS-DOS is always that of the unrelaxed crystal, and an RS-DOS that of the relaxed one.
    """
    if stage.name != "relax":
        return None
    uuids = uuids_of_try(document["_id"], stage, document[stage.fields]["attempt"])
    if job_output(job_store, uuids["relaxation"]) is not None:
        return None  # this relaxation is complete
    found = last_geometry(campaign.store, document)
    if found is None:
        return None
    structure, source = found
    logger.info("relaxation of %s continues from %s", document["formula"], source["directory"])
    write_restart(campaign, document["_id"], source, fw_id=fw_id)
    return structure


def job_output(job_store: JobStore, uuid: str) -> Any:
    """Return the output of a job without its large objects (a CompleteDos), or None if it has none yet."""
    found = job_store.query_one({"uuid": uuid}, properties=["output"], sort={"index": -1}, load=False)
    return None if found is None else found["output"]
