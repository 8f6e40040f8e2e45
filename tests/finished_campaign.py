"""A campaign taken to its end by the project's own functions, with made-up outputs where an engine would compute."""

from pathlib import Path

import numpy as np
from predicted import store_predictions

from campaign.attempts.failures import ScienceFailureError
from campaign.attempts.ledger import attempt
from campaign.attempts.outputs import flow_key
from campaign.config.yaml_file import read_yaml
from campaign.running_campaign import start_campaign
from campaign.scheduling.advance import advance
from campaign.spec.reader import read_firework_spec
from campaign.steps.decide import make_decisions
from campaign.steps.finish import finish_campaign
from campaign.steps.record import record_calculation
from campaign.store.campaigns import Campaign, OpenCampaign
from campaign.store.collections import CampaignStore, now
from campaign.store.fireworks import initialise_launchpad
from campaign.store.states import STAGES
from launchers.database.job_store import open_job_store
from workflows.dos import DosFeatures
from workflows.gpaw_vasp.version import version_string
from workflows.identity import job_uuid

ROOT = Path(__file__).resolve().parents[1]
NAME = "quickstart"
CPU_S = 12.0


class Finished:
    """Takes a campaign to its end, with made-up outputs in the JobStore where an engine would have computed."""

    def __init__(self, database, folder, *, name=NAME, policy=None, **sections):
        self.name = name
        self.computed = []
        self.database = database
        self.folder = folder
        self.launchpad = database.launchpad(strm_lvl="ERROR")
        initialise_launchpad(self.launchpad)
        self.store = CampaignStore(self.launchpad.db)
        content, _ = read_yaml(ROOT / "examples" / "quickstart.yaml")
        campaign = content["spec"]["campaign"]
        campaign["candidates"] |= {"prototypes": ["B1", "B2", "B3"], "elements": ["Al", "Pd", "Au"]}
        campaign["model"] |= {"bundle": None, "bootstrap_size": 2}
        campaign["policy"] = policy or {"max_formation_energy": 0.1}
        campaign |= sections
        start_campaign(self.store, self.launchpad, read_firework_spec(content["spec"], name=name))
        self.failing = self.store.candidates.find_one({"campaign": name, "role": "screened", "chemsys": "Al-Au"})["_id"]

    def run(self):
        with open_job_store(self.database) as self.job_store:
            self.compute_what_runs()
            self.train()
            self.screen()
            self.compute_what_runs()
        finish_campaign(Campaign.read(self.store, self.name), f"{self.name}/report")

    def compute_what_runs(self):
        """Complete calculations until none is left; each may let others start."""
        open_ones = True
        while open_ones:
            open_ones = [
                (document, stage)
                for collection in (self.store.references, self.store.candidates)
                for stage in STAGES.values()
                for document in collection.find({"campaign": self.name, stage.state_field: stage.running})
            ]
            for document, stage in open_ones:
                self.compute(document, stage)
            advance(OpenCampaign.open(self.store, self.launchpad, self.name))

    def compute(self, document, stage):
        facts = document[stage.fields]
        self.computed.append((document["_id"], stage.name))
        try:
            with attempt(
                self.store, campaign=self.name, stage=stage.name, fw_id=facts["fw_id"], document=document["_id"]
            ) as entry:
                if document["_id"] == self.failing:
                    raise ScienceFailureError("IS-DOS did not converge, or custodian gave up")
                key = flow_key(document["_id"], stage, facts["attempt"])
                for name, output in self.outputs(document, stage).items():
                    stored = {"uuid": job_uuid(f"{key}:{name}"), "index": 1, "name": name, "output": output}
                    self.job_store.update([stored], key=["uuid", "index"])
                entry.cpu_s = CPU_S
        except ScienceFailureError:
            pass  # FireWorks would mark the firework as fizzled; the one that records runs all the same
        record_calculation(
            Campaign.read(self.store, self.name),
            self.database,
            document_id=document["_id"],
            stage=stage,
            fw_id=facts["record_fw_id"],
        )

    def outputs(self, document, stage):
        """What the stage's jobs leave in the JobStore: the part of emmet's TaskDoc that is read, and the features."""
        correction = {"errors": ["LargeSigma"], "actions": [{"dict": "INCAR", "action": {"_set": {"SIGMA": 0.04}}}]}
        task = {
            "state": "successful",
            "output": {"energy": total_energy(document), "structure": document["structure"]},
            "calcs_reversed": [{"vasp_version": version_string()}],
            "custodian": [{"corrections": [correction] if stage.name == "relax" else []}],
            "run_stats": {"overall": {"total_time": CPU_S, "cores": 1}},
            "dir_name": "localhost:/runs/quickstart/launcher_1",
        }
        if stage.name == "relax":
            return {"relaxation": task}
        dos = DosFeatures.encode(
            np.ones((2, 1500, 9), np.float32),
            spacing=0.02,
            efermi=1.5,
            normalisation="atom",
            energy_reference="absolute",
        )
        return {"static": task, "features": dos.to_json()}

    def train(self):
        step = self.store.steps.find_one({"_id": f"{self.name}/train"})
        with attempt(self.store, campaign=self.name, stage="train", fw_id=step["fw_id"]):
            campaign = Campaign.read(self.store, self.name)
            model = {
                "checksum": 64 * "a",
                "representation": campaign.spec.representation().to_dict(),
                "n_structures": 5,
                "source": "bootstrap",
                "step": step["_id"],
                "time": now(),
            }
            self.store.campaigns.update_one({"_id": self.name}, {"$set": {"model": model}})
            self.store.close_step(step["_id"])
        advance(OpenCampaign.open(self.store, self.launchpad, self.name))

    def screen(self):
        """Do what a Screen does once Ray has answered."""
        step = self.store.steps.find_one({"_id": f"{self.name}/screen/0"})
        campaign = Campaign.read(self.store, self.name)
        with attempt(self.store, campaign=self.name, stage="screen", fw_id=step["fw_id"]):
            ready = list(self.store.candidates.find({"campaign": self.name, "state": "dos_done"}))
            predicted = {document["_id"]: formation_energy(document) + 0.02 for document in ready}
            store_predictions(campaign, step["_id"], sorted(predicted), predicted)
            make_decisions(campaign, step["_id"])
            self.store.close_step(step["_id"])
        advance(OpenCampaign.open(self.store, self.launchpad, self.name))


def formation_energy(document) -> float:
    """Made up, eV/atom: compounds of Al and Pd are stable, B2 most of all; others are not."""
    if len(document["elements"]) == 1:
        return 0.0
    if document["chemsys"] != "Al-Pd":
        return 0.3
    return -0.9 if document["prototype"] == "B2" else -0.4


def total_energy(document) -> float:
    return document["n_sites"] * (-3.0 + formation_energy(document))
