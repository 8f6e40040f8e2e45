"""The firetasks, one per step; each finds its database through its LaunchPad."""

import logging
import os
from abc import abstractmethod
from functools import partial
from typing import Any

from fireworks import FiretaskBase, FWAction, explicit_serialize

from campaign.recovery.processes import LaunchIsTakenError, announce_process
from campaign.running_campaign import RunningCampaign, start_campaign
from campaign.spec.checks import check_new
from campaign.spec.potcar_checks import check_potcars
from campaign.spec.reader import ENGINE_ELSEWHERE, read_firework_spec
from campaign.store.campaigns import campaign_exists
from campaign.store.collections import CampaignStore
from campaign.store.fireworks import foreign_work, read_firework
from campaign.store.states import STAGES
from launchers.database.patience import patiently
from launchers.database.patient_launchpad import make_patient
from launchers.database.settings import DatabaseSettings
from launchers.workers.process_identity import end_with_main_thread

logger = logging.getLogger(__name__)


class _CampaignTask(FiretaskBase):  # type: ignore[misc, unused-ignore]
    """Base of the tasks; FireWorks hands them their LaunchPad (``_add_launchpad_and_fw_id`` in the firework spec)."""

    fw_id: int
    launchpad: Any

    @property
    def store(self) -> CampaignStore:
        """Campaign collections in the database of this task's LaunchPad."""
        return CampaignStore(self.launchpad.db)

    @property
    def database(self) -> DatabaseSettings:
        """Connection settings of that database, from my_launchpad.yaml and never from a document."""
        return DatabaseSettings.from_launchpad(self.launchpad)

    def campaign(self, fw_spec: dict[str, Any]) -> RunningCampaign:
        """Open the campaign that this firework belongs to."""
        return patiently(partial(RunningCampaign.open, self.store, self.launchpad, fw_spec["campaign_name"]))

    def run_task(self, fw_spec: dict[str, Any]) -> FWAction | None:
        """Record the running process in the firework, for `reconcile` if it is killed, then do the work."""
        end_with_main_thread()
        make_patient(self.launchpad)
        try:
            patiently(partial(announce_process, self.launchpad, self.fw_id))
        except LaunchIsTakenError as error:
            # this process must report nothing: FireWorks would write it into the launch of the other process
            logger.warning("%s: this process ends", error)
            os._exit(1)
        return self.work(fw_spec)

    @abstractmethod
    def work(self, fw_spec: dict[str, Any]) -> FWAction | None:
        """Do the work of this task."""


@explicit_serialize
class StartCampaign(_CampaignTask):
    """Task of the firework made by ``lpad add campaign.yaml``: check the file, create the candidates, submit ready
    work.
    """

    def work(self, fw_spec: dict[str, Any]) -> FWAction:
        """Start the campaign whose file is this firework's spec."""
        firework = read_firework(self.launchpad, self.fw_id, ["name", "spec"]) or {}
        spec = read_firework_spec(firework["spec"], name=firework["name"])
        if not campaign_exists(self.store, spec.name):
            check_new(spec)
            if not firework["spec"].get(ENGINE_ELSEWHERE):
                check_potcars(spec)
        worker = firework["spec"].get("_fworker")
        if worker is None and (foreign := foreign_work(self.launchpad)) is not None:
            logger.warning(
                "this database also contains %s: workers without this package would mark the campaign's fireworks as "
                "FIZZLED. Right: a separate database, or `_fworker: NAME` in the spec of the campaign file, with the "
                "name of your own workers",
                foreign,
            )
        started = patiently(partial(start_campaign, self.store, self.launchpad, spec, worker=worker))
        return FWAction(stored_data={"message": started.message, "added": started.added})


@explicit_serialize
class RunCalculation(_CampaignTask):
    """Compute one stage of one candidate in this launch directory and record its outcome."""

    required_params = ("document", "stage")

    def work(self, fw_spec: dict[str, Any]) -> None:
        """Run the stage's jobflow flow, record its outcome and submit all work that is due."""
        self.campaign(fw_spec).calculate(
            self.database, document_id=self["document"], stage=STAGES[self["stage"]], fw_id=self.fw_id
        )


@explicit_serialize
class RecordCalculation(_CampaignTask):
    """Record a calculation whose process was killed before it could record it."""

    required_params = ("document", "stage")

    def work(self, fw_spec: dict[str, Any]) -> None:
        """Record the calculation, then advance the campaign."""
        campaign, stage = self.campaign(fw_spec), STAGES[self["stage"]]
        record = partial(campaign.record, self.database, document_id=self["document"], stage=stage, fw_id=self.fw_id)
        # safe to repeat: recording is idempotent
        patiently(record, wait_s=campaign.spec.retries.database_wait_s)


class _Step(_CampaignTask):
    """Base of the steps. A step that is run again, in a new process or after an outage, does its remaining work."""

    required_params = ("step",)

    def work(self, fw_spec: dict[str, Any]) -> FWAction | None:
        """Run the step, again once the database is back if the connection is lost."""
        campaign = self.campaign(fw_spec)
        if patiently(partial(campaign.put_step_back, self["step"], fw_id=self.fw_id)):
            return None
        return patiently(partial(self.step, campaign), wait_s=campaign.spec.retries.database_wait_s)

    @abstractmethod
    def step(self, campaign: RunningCampaign) -> FWAction | None:
        """Do the work of this step."""


@explicit_serialize
class Train(_Step):
    """Train ESNet on the bootstrap sample and the references."""

    def step(self, campaign: RunningCampaign) -> None:
        """Train, register the bundle, and submit the Screens that waited for it."""
        campaign.train(self.database, self["step"], fw_id=self.fw_id)


@explicit_serialize
class Retrain(_Step):
    """Fine-tune the campaign's model on its results."""

    def step(self, campaign: RunningCampaign) -> None:
        """Fine-tune, register the new bundle, and have the waiting candidates scored again."""
        campaign.retrain(self.database, self["step"], fw_id=self.fw_id)


@explicit_serialize
class Recalibrate(_Step):
    """Fit a correction of the predictions to the campaign's relaxations."""

    def step(self, campaign: RunningCampaign) -> None:
        """Fit the correction, and have the waiting candidates decided on again."""
        campaign.recalibrate(self["step"], fw_id=self.fw_id)


@explicit_serialize
class Prefilter(_Step):
    """Score candidates without a DOS, and reject the clearly unstable ones."""

    def step(self, campaign: RunningCampaign) -> None:
        """Run the prefilter on one batch."""
        campaign.prefilter(self.database, self["step"], fw_id=self.fw_id)


@explicit_serialize
class Screen(_Step):
    """Score all ready candidates, decide on them, and submit the relaxations."""

    def step(self, campaign: RunningCampaign) -> None:
        """Run one Screen."""
        campaign.screen(self.database, self["step"], fw_id=self.fw_id)


@explicit_serialize
class Finish(_Step):
    """Close the campaign."""

    def step(self, campaign: RunningCampaign) -> FWAction:
        """Store the summary in the campaign's document."""
        return FWAction(stored_data=campaign.finish(self["step"]))


Report = Finish
"""Name of this task in fireworks submitted by version 0.1."""
