"""A campaign file means the same through every door, and only what decides the numbers decides the ids."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from potcar_files import write_potcars
from pydantic import ValidationError
from pymatgen.core import SETTINGS
from ruamel.yaml import YAML

from campaign.config.yaml_file import CampaignFileError
from campaign.spec.campaign_spec import CampaignSpec
from campaign.spec.checks import check_engine
from campaign.spec.reader import read_campaign_file, read_firework_spec
from esnet.bundle.shipped import bundle_folder

CAMPAIGN = Path(__file__).parent / "bootstrap.yaml"
EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture(scope="module")
def quickstart() -> CampaignSpec:
    return read_campaign_file(CAMPAIGN)


def changed(spec: CampaignSpec, section: str, **values: object) -> CampaignSpec:
    content = spec.model_dump(mode="json")
    content[section] |= values
    return CampaignSpec.model_validate(content)


def test_lpad_add_takes_the_file_and_it_means_the_same(quickstart):
    from fireworks import Workflow

    firework = Workflow.from_file(str(CAMPAIGN)).fws[0]
    assert firework.name == "quickstart"
    assert firework.spec["_category"] == "screen"
    assert read_firework_spec(firework.spec, name=firework.name) == quickstart


def test_a_spec_survives_the_database(quickstart):
    stored = json.loads(json.dumps(quickstart.model_dump(mode="json")))
    assert CampaignSpec.model_validate(stored) == quickstart


def test_the_written_out_firework_means_the_same(quickstart):
    from fireworks import Firework

    firework = Firework.from_dict(json.loads(json.dumps(quickstart.to_firework_dict())))
    assert read_firework_spec(firework.spec, name=firework.name) == quickstart


def test_defaults_are_those_of_the_paper():
    spec = CampaignSpec.model_validate({"name": "a", "candidates": {"prototypes": ["B2"], "elements": ["Al", "Pd"]}})
    dft = spec.dft
    assert (dft.quality, dft.encut, dft.ediff, dft.force_tolerance) == ("standard", 520.0, 1e-5, 0.03)
    assert (dft.nedos, dft.emin, dft.emax, dft.kpoint_length) == (1500, -20.0, 10.0, 30.0)
    assert spec.model.training.widths == (64, 128, 256, 512)
    assert (spec.model.training.learning_rate, spec.model.training.batch_size) == (0.00175, 32)
    assert (spec.policy.max_formation_energy, spec.policy.max_hull_energy) == (-0.02, 0.13)
    assert (spec.stable.max_formation_energy, spec.stable.max_hull_energy) == (0.0, 0.1)
    representation = spec.model.representation
    assert (representation.normalisation, representation.energy_reference) == ("atom", "absolute")


def test_defaults_agree_with_the_rooms_that_take_them():
    from esnet.representation.features import Representation
    from esnet.training.train import TrainingSettings
    from workflows.settings import DftSettings

    spec = CampaignSpec.model_validate({"name": "a", "candidates": {"prototypes": ["B2"], "elements": ["Al", "Pd"]}})
    assert spec.dft_settings() == DftSettings()
    assert spec.training_settings() == TrainingSettings(seed=spec.seed)
    assert spec.representation() == Representation()


def test_a_spec_cannot_be_changed(quickstart):
    with pytest.raises(ValidationError):
        quickstart.dft.encut = 300.0


@pytest.mark.parametrize(
    ("section", "values"),
    [("dft", {"encut": 500.0}), ("dft", {"quality": "standard"}), ("dft", {"engine": "vasp"}), ("dft", {"nedos": 301})],
)
def test_settings_that_decide_numbers_change_the_hash(quickstart, section, values):
    assert changed(quickstart, section, **values).settings_hash != quickstart.settings_hash


@pytest.mark.parametrize(
    ("section", "values"),
    [
        ("policy", {"max_hull_energy": 0.2}),
        ("screening", {"batch_size": 7}),
        ("retries", {"max_retries": 0}),
        ("model", {"bootstrap_size": 5}),
    ],
)
def test_other_settings_leave_the_hash_alone(quickstart, section, values):
    assert changed(quickstart, section, **values).settings_hash == quickstart.settings_hash


def test_where_vasp_lies_leaves_the_hash_alone(quickstart):
    here = changed(quickstart, "dft", engine="vasp", vasp_command="vasp_std")
    there = changed(
        quickstart,
        "dft",
        engine="vasp",
        vasp_command={"dos": "srun /opt/vasp", "relaxation": None},
        vasp_gamma_command="srun /opt/vasp_gam",
        scratch="$TMPDIR",
    )
    assert here.settings_hash == there.settings_hash


def test_relative_paths_start_from_the_files_folder(tmp_path, quickstart):
    shutil.copytree(bundle_folder("gpaw-fast-binary"), tmp_path / "trained")
    path = tmp_path / "c.yaml"
    path.write_text(CAMPAIGN.read_text().replace("bundle: null", "bundle: trained"))
    spec = read_campaign_file(path)
    assert spec.model.bundle == tmp_path / "trained"
    content = spec.to_firework_dict()["spec"]
    content["campaign"]["model"]["bundle"] = "trained"
    assert read_firework_spec(content, name="a", base_dir=tmp_path).model.bundle == tmp_path / "trained"
    with pytest.raises(CampaignFileError, match="write the absolute path"):
        read_firework_spec(content, name="a")


def test_an_element_with_a_reference_file_needs_no_built_in_crystal(tmp_path):
    from pymatgen.core import Lattice, Structure

    folder = tmp_path / "phases"
    folder.mkdir()
    Structure(Lattice.cubic(4.0), ["Ra"], [[0, 0, 0]]).to(folder / "Ra.cif")
    path = tmp_path / "c.yaml"
    text = CAMPAIGN.read_text().replace("[Al, Cu, Pd", "[Al, Ra, Pd").replace("engine: gpaw", "engine: vasp")
    path.write_text(text)
    with pytest.raises(CampaignFileError, match="'Ra': there is no built-in crystal"):
        read_campaign_file(path)
    path.write_text(
        text.replace("structures: null            # folder of CIF/POSCAR files of further", "structures: phases #")
    )
    assert read_campaign_file(path).references.structures == folder


@pytest.mark.parametrize("file", sorted(EXAMPLES.glob("*.yaml")), ids=lambda file: file.stem)
def test_every_example_has_the_name_of_its_file_and_is_read(file):
    assert read_campaign_file(file).name == file.stem.replace("_", "-")


def test_the_recommended_file_is_what_the_page_recommends():
    spec = read_campaign_file(EXAMPLES / "recommended.yaml")
    page = (EXAMPLES.parent / "docs" / "how-to" / "choosing.md").read_text()
    wanted = YAML(typ="safe").load(page.split("```yaml")[1].split("```")[0])
    for section, settings in wanted.items():
        found = getattr(spec, section).model_dump(mode="json")
        if section == "prefilter":
            found, settings = found["scorer"], settings["scorer"]
        assert {key: found[key] for key in settings} == settings


def test_the_example_of_oxides_needs_nothing_but_its_file():
    from campaign.references.phases import reference_phases

    spec = read_campaign_file(EXAMPLES / "oxides.yaml")
    assert spec.candidates.prototypes == ("B1", "C1", "C4", "E2_1")
    assert spec.references.structures is None
    assert [label for label, _ in reference_phases(spec, spec.candidates.elements)] == list(spec.candidates.elements)
    assert "O" in spec.candidates.elements


def test_an_element_without_a_paw_data_set_is_refused_for_gpaw_only(tmp_path):
    pytest.importorskip("gpaw_data")
    from workflows.gpaw_vasp.potcars import available_elements

    assert "Po" not in available_elements()
    path = tmp_path / "c.yaml"
    text = CAMPAIGN.read_text().replace("[Al, Cu, Pd", "[Al, Po, Pd")
    path.write_text(text)
    with pytest.raises(CampaignFileError, match=r"elements\[1\]: found 'Po': GPAW has no PBE PAW data set"):
        read_campaign_file(path)
    path.write_text(text.replace("engine: gpaw ", "engine: vasp "))
    assert "Po" in read_campaign_file(path).candidates.elements


@pytest.mark.parametrize(
    ("command", "named"),
    [
        ("no_such_vasp", "'no_such_vasp'"),
        ("OMP_NUM_THREADS=1 no_such_vasp", "'no_such_vasp'"),
        ("/no/such/vasp_std -x", "'/no/such/vasp_std'"),
        (None, "the field is null; atomate2's default, since nothing names another"),
        ("'unclosed", "right: a command line"),
    ],
)
def test_a_missing_vasp_is_named(quickstart, monkeypatch, command, named):
    for name in ("ATOMATE2_VASP_CMD", "ATOMATE2_CONFIG_FILE"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(CampaignFileError, match=r"spec\.campaign\.dft\.vasp_command") as caught:
        check_engine(changed(quickstart, "dft", engine="vasp", vasp_command=command))
    assert named in str(caught.value)


def test_vasp_behind_a_launcher_is_looked_for_too(quickstart, tmp_path, monkeypatch):
    launcher = tmp_path / "srun"
    launcher.write_text("#!/bin/sh\n")
    launcher.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setitem(SETTINGS, "PMG_VASP_PSP_DIR", str(tmp_path))
    write_potcars(tmp_path / "potpaw_PBE", " ".join(quickstart.candidates.elements))
    with pytest.raises(CampaignFileError, match="'no_such_vasp'"):
        check_engine(changed(quickstart, "dft", engine="vasp", vasp_command="srun -n 4 no_such_vasp"))
    check_engine(changed(quickstart, "dft", engine="vasp", vasp_command="srun -n 4 srun"))


def test_a_missing_gpaw_names_the_extra(quickstart, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(CampaignFileError, match=r"pip install \"esnet-campaign\[gpaw\]\""):
        check_engine(quickstart)


def test_reading_a_spec_imports_nothing_heavy():
    program = (
        "import sys; from campaign.spec.reader import read_campaign_file; read_campaign_file(sys.argv[1]); "
        # ASE asks GPAW's stub for its file formats; that is not GPAW
        "heavy = ('tensorflow', 'keras', 'ray', 'atomate2', 'gpaw.calculator', 'jobflow'); "
        "print([name for name in heavy if name in sys.modules])"
    )
    root = CAMPAIGN.parents[1]
    done = subprocess.run(
        [sys.executable, "-c", program, str(CAMPAIGN)], capture_output=True, text=True, check=True, cwd=root
    )
    assert done.stdout.strip() == "[]"
