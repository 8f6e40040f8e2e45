"""What the README promises: its campaign file is one, its queries and commands work, its links lead somewhere."""

import json
import os
import re
import subprocess
import sys
import uuid
from pathlib import Path

import numpy as np
import pytest
from ruamel.yaml import YAML

from campaign.campaign_file import read_yaml
from campaign.decisions.failures import ScienceFailureError
from campaign.decisions.ledger import attempt
from campaign.execution import screening
from campaign.execution.advance import advance
from campaign.execution.calculation import flow_key
from campaign.execution.finish import finish_campaign
from campaign.execution.fireworks import initialise_launchpad
from campaign.execution.record import record_calculation
from campaign.execution.start import start_campaign
from campaign.loading import load_campaign
from campaign.spec import CampaignSpec
from campaign.stages import STAGES
from campaign.store import CampaignStore, now
from launchers.database import DatabaseSettings
from workflows.dos import DosFeatures
from workflows.gpaw_vasp.version import version_string
from workflows.identity import job_uuid

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").glob("*.md"))]
NAME = "quickstart"
CPU_S = 12.0


def blocks(language: str) -> list[str]:
    """Texts of the README's fenced blocks of one language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", README, flags=re.DOTALL | re.MULTILINE)


# ---- the campaign file


def test_the_campaign_file_shown_is_right_and_has_every_default():
    (text,) = blocks("yaml")
    shown = YAML(typ="safe", pure=True).load(text)
    spec = CampaignSpec.from_firework_spec(shown["spec"], name=shown["name"])
    required = {key: shown["spec"]["campaign"]["candidates"][key] for key in ("prototypes", "elements")}
    assert spec == CampaignSpec.from_firework_spec({"campaign": {"candidates": required}}, name=shown["name"])
    full = spec.to_firework_dict()
    assert fields_of(shown) == fields_of(full), "a field is missing in the README, or is there and not in the program"


def fields_of(content: dict, prefix: str = "") -> set[str]:
    return {
        name
        for key, value in content.items()
        for name in (fields_of(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}"})
    }


def test_every_shipped_prototype_is_named():
    from campaign.prototypes.library import shipped_prototypes

    (line,) = [line for line in README.splitlines() if line.startswith("* Shipped prototypes:")]
    assert set(line.removeprefix("* Shipped prototypes:").strip(" .").split(", ")) == set(shipped_prototypes())


# ---- commands and links


def test_every_command_shown_exists():
    import typer

    from campaign.cli import app

    group = typer.main.get_command(app)
    inside = {**group.commands, **{f"db {name}": command for name, command in group.commands["db"].commands.items()}}
    for words in re.findall(r"(?:`|^|\$ )campaign ((?:db )?[a-z]+)", README, flags=re.MULTILINE):
        assert words in inside, f"README: campaign {words}"
    options = {option for command in inside.values() for parameter in command.params for option in parameter.opts}
    table = README.split("## Running it")[1].split("With FireWorks")[0]
    assert set(re.findall(r"--[a-z][a-z-]+", table)) <= options
    targets = set(re.findall(r"^([a-z-]+):.*## ", (ROOT / "Makefile").read_text(encoding="utf-8"), flags=re.MULTILINE))
    assert set(re.findall(r"(?:`|^)make ([a-z-]+)", README, flags=re.MULTILINE)) <= targets


@pytest.mark.parametrize("page", ["README.md", "docs/learning.md", "examples/training_set.yaml"])
def test_every_command_of_esnet_shown_exists(page):
    import typer

    from esnet.cli import app

    text = (ROOT / page).read_text(encoding="utf-8")
    group = typer.main.get_command(app)
    inside = {
        **group.commands,
        **{f"dataset {name}": found for name, found in group.commands["dataset"].commands.items()},
    }
    shown = re.findall(r"(?:`|^|\$ |\.\.\. | \| )esnet ((?:dataset )?[a-z-]+)([^`\n|#]*)", text, flags=re.MULTILINE)
    assert shown or page.startswith("examples")
    for words, rest in shown:
        assert words in inside, f"{page}: esnet {words}"
        options = {option for parameter in inside[words].params for option in parameter.opts}
        assert set(re.findall(r"--[a-z][a-z-]+", rest)) <= options, f"{page}: esnet {words} {rest}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_and_file_name_leads_to_a_file(page):
    text = page.read_text(encoding="utf-8")
    links = {link.split("#")[0] for link in re.findall(r"\]\(([^)\s]+)\)", text) if "://" not in link}
    missing = {link for link in links if link and not (page.parent / link).exists()}
    assert not missing
    names = re.findall(r"`((?:campaign|workflows|esnet|launchers|tests|examples|benchmarks)/[\w./-]+)`", text)
    assert not {name for name in names if not (ROOT / name).exists()}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_no_placeholder_was_left(page):
    assert "@@" not in page.read_text(encoding="utf-8"), "put the measured figures in"


# ---- the queries, on a campaign that the project's own functions have written


class Finished:
    """Takes a campaign to its end, with made-up outputs in the JobStore where an engine would have computed."""

    def __init__(self, database, folder):
        self.database = database
        self.folder = folder
        self.launchpad = database.launchpad(strm_lvl="ERROR")
        initialise_launchpad(self.launchpad)
        self.store = CampaignStore(self.launchpad.db)
        content, _ = read_yaml(ROOT / "examples" / "quickstart.yaml")
        campaign = content["spec"]["campaign"]
        campaign["candidates"] |= {"prototypes": ["B1", "B2", "B3"], "elements": ["Al", "Pd", "Au"]}
        campaign["model"] |= {"bundle": None, "bootstrap_size": 2}
        campaign["policy"] = {"max_formation_energy": 0.1}
        start_campaign(self.store, self.launchpad, CampaignSpec.from_firework_spec(content["spec"], name=NAME))
        self.failing = self.store.candidates.find_one({"role": "screened", "chemsys": "Al-Au"})["_id"]

    def run(self):
        with self.database.job_store() as self.job_store:
            self.compute_what_runs()
            self.train()
            self.screen()
            self.compute_what_runs()
        finish_campaign(self.store, NAME, f"{NAME}/report")

    def compute_what_runs(self):
        """Complete calculations until none is left; each may let others start."""
        open_ones = True
        while open_ones:
            open_ones = [
                (document, stage)
                for collection in (self.store.references, self.store.candidates)
                for stage in STAGES.values()
                for document in collection.find({"campaign": NAME, stage.state_field: stage.running})
            ]
            for document, stage in open_ones:
                self.compute(document, stage)
            advance(self.store, self.launchpad, NAME)

    def compute(self, document, stage):
        facts = document[stage.facts]
        try:
            with attempt(
                self.store, campaign=NAME, stage=stage.name, fw_id=facts["fw_id"], document=document["_id"]
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
            self.store, self.database, document_id=document["_id"], stage=stage, fw_id=facts["record_fw_id"]
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
        step = self.store.steps.find_one({"_id": f"{NAME}/train"})
        with attempt(self.store, campaign=NAME, stage="train", fw_id=step["fw_id"]):
            campaign = load_campaign(self.store, NAME)
            model = {
                "checksum": 64 * "a",
                "representation": campaign.spec.representation().to_dict(),
                "n_structures": 5,
                "source": "bootstrap",
                "step": step["_id"],
                "time": now(),
            }
            self.store.campaigns.update_one({"_id": NAME}, {"$set": {"model": model}})
            self.store.close_step(step["_id"])
        advance(self.store, self.launchpad, NAME)

    def screen(self):
        """Do what a Screen does once Ray has answered."""
        step = self.store.steps.find_one({"_id": f"{NAME}/screen/0"})
        campaign = load_campaign(self.store, NAME)
        with attempt(self.store, campaign=NAME, stage="screen", fw_id=step["fw_id"]):
            ready = list(self.store.candidates.find({"campaign": NAME, "state": "dos_done"}))
            predicted = {document["_id"]: formation_energy(document) + 0.02 for document in ready}
            screening.store_predictions(self.store, campaign, step["_id"], sorted(predicted), predicted)
            screening.make_decisions(self.store, campaign, step["_id"])
            self.store.close_step(step["_id"])
        advance(self.store, self.launchpad, NAME)


def formation_energy(document) -> float:
    """Made up, eV/atom: compounds of Al and Pd are stable, B2 most of all; others are not."""
    if len(document["elements"]) == 1:
        return 0.0
    if document["chemsys"] != "Al-Pd":
        return 0.3
    return -0.9 if document["prototype"] == "B2" else -0.4


def total_energy(document) -> float:
    return document["n_sites"] * (-3.0 + formation_energy(document))


@pytest.fixture(scope="module")
def finished_once(mongo_settings, tmp_path_factory):
    """The finished campaign in a database of its own, which only reading tests share; beside it my_launchpad.yaml."""
    folder, name = tmp_path_factory.mktemp("readme"), f"test_readme_{uuid.uuid4().hex[:8]}"
    file = folder / "my_launchpad.yaml"
    uri = f"mongodb://{mongo_settings.address}/{name}?replicaSet={mongo_settings.replica_set}"
    file.write_text(f"uri_mode: true\nhost: {uri}\nname: {name}\nstrm_lvl: WARNING\n")
    campaign = Finished(DatabaseSettings.from_file(file), folder)
    campaign.run()
    yield campaign
    campaign.launchpad.connection.drop_database(name)


@pytest.fixture
def finished(finished_once, monkeypatch):
    """The finished campaign, from the folder of its my_launchpad.yaml."""
    monkeypatch.chdir(finished_once.folder)
    return finished_once


@pytest.mark.mongo
def test_the_five_queries_show_a_finished_campaign(finished, capsys):
    connect, *queries = blocks("python")
    assert len(queries) == 5
    namespace: dict = {}
    exec(connect, namespace)
    shown = []
    for query in queries:
        exec(query, namespace)
        shown.append(capsys.readouterr().out)
    namespace["db"].client.close()
    stable, decisions, problems, cost, crystal = shown
    assert stable.splitlines()[0] == "AlPd B2 -0.9 eV/atom"
    assert len(stable.splitlines()) == 3
    assert "rejected because E_f(ML) = 0.320 > 0.1 eV/atom" in decisions
    assert "relaxed because E_f(ML)" in decisions
    assert f"{finished.failing} dos science" in problems
    assert "did not converge" in problems
    assert "quickstart/reference/Al [['LargeSigma']]" in problems
    assert {tuple(line.split()[:2]) for line in cost.splitlines()} >= {("dos", "science"), ("relax", "completed")}
    assert crystal.startswith("Al1 Pd1")
    assert crystal.splitlines()[-1] == "(2, 1500, 9)"


@pytest.mark.mongo
def test_the_commands_shown_find_the_same_campaign(finished):
    (console,) = blocks("console")
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    shown = []
    for line in console.splitlines():
        done = subprocess.run(
            ["bash", "-c", line.removeprefix("$ ")],
            cwd=finished.folder,
            env=environment,
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"
        shown.append(done.stdout)
    count, newest, fizzled, status, table = shown
    assert int(count.strip()) == finished.launchpad.workflows.count_documents({"metadata.campaign": NAME})
    assert len(json.loads(newest)) == 5
    assert json.loads(fizzled) == []
    assert json.loads(status)["state"] == "finished"
    assert "AlPd,B2" in table


def table_rows(start: str, end: str) -> list[tuple[set[str], set[str]]]:
    """Names in code type in the first and in the second column of the README's table between two texts."""
    lines = README.split(start)[1].split(end)[0].splitlines()
    cells = [line.split("|") for line in lines if line.startswith("| `")]
    return [(set(re.findall(r"`(\w+)`", row[1])), set(re.findall(r"`(\w+)`", row[2]))) for row in cells]


@pytest.mark.mongo
def test_the_fields_named_are_those_that_are_written(finished):
    rows = table_rows("A candidate (energies", "The same campaign in")
    named = set().union(*(first for first, _ in rows))
    candidates = list(finished.store.candidates.find({"campaign": NAME}))
    written = {key for document in candidates for key in document}
    assert written - {"schema_version", "created"} <= named
    # of a retry, of references with corrections, of another model, of a raised budget: there is none of it here
    assert named - written == {
        "last_failure",
        "overrides",
        "uncorrectable",
        "earlier_predictions",
        "earlier_decisions",
    }
    for fields, parts in rows:
        if fields & {"calculation", "dos", "prediction", "decision", "result"}:
            inside = {key for document in candidates for field in fields for key in document.get(field) or {}}
            assert parts <= inside, fields


@pytest.mark.mongo
def test_the_collections_named_are_there(finished):
    rows = table_rows("| collection |", "A candidate (energies")
    named = set().union(*(first for first, _ in rows)) - {"data"}  # GridFS: data.files and data.chunks
    # models is filled by a training, launches by a worker: neither has run here
    assert named - {"models", "launches"} <= set(finished.store.database.list_collection_names())
    (campaign,) = finished.store.campaigns.find()
    assert rows[0][1] - set(campaign) == {"problem"}
