"""What VASP needs is looked for before anything is submitted: its commands, its scratch folder, every POTCAR."""

import json
import re
from pathlib import Path

import pytest
from fireworks import Firework
from fireworks.core.rocket_launcher import launch_rocket
from potcar_files import title_of, write_potcars
from pymatgen.core import SETTINGS
from pymatgen.io.vasp import Incar, Kpoints, Poscar
from small_campaign import SMALL, write_campaign
from typer.testing import CliRunner

from campaign.cli.app import app
from campaign.config.yaml_file import CampaignFileError
from campaign.spec.campaign_spec import CampaignSpec
from campaign.spec.checks import check_engine
from campaign.spec.potcar_checks import check_potcars
from campaign.spec.reader import read_campaign_file
from campaign.views.engine_questions import engine_questions, together

VASP = {"engine": "vasp", "vasp_command": "OMP_NUM_THREADS=1 srun vasp_std", "quality": "fast"}


@pytest.fixture
def site(tmp_path, monkeypatch):
    """A machine with srun and VASP, and an empty POTCAR library."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in ("srun", "vasp_std", "vasp_gam", "env"):
        (folder / name).write_text("#!/bin/sh\n")
        (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(folder))
    for name in ("ATOMATE2_VASP_CMD", "ATOMATE2_VASP_GAMMA_CMD", "ATOMATE2_CONFIG_FILE"):
        monkeypatch.delenv(name, raising=False)
    library = tmp_path / "library"
    library.mkdir()
    monkeypatch.setitem(SETTINGS, "PMG_VASP_PSP_DIR", str(library))
    monkeypatch.setenv("COLUMNS", "10000")
    return library


def campaign_file(folder: Path, **dft: object) -> Path:
    return write_campaign(
        folder / "c.yaml",
        name="vasp",
        candidates={"prototypes": ["B2"], "elements": ["Al", "Pd", "W"]},
        dft={**VASP, **dft},
        model={"bootstrap_size": 2},
    )


def command(*words: object) -> tuple[int, str]:
    done = CliRunner().invoke(app, [str(word) for word in words])
    said = done.output if done.exception is None or isinstance(done.exception, SystemExit) else str(done.exception)
    return done.exit_code, said


def test_check_names_every_potcar_that_is_missing_of_candidates_and_references(site, tmp_path):
    file = campaign_file(tmp_path)
    write_potcars(site / "potpaw_PBE", "Al")
    code, said = command("check", file)
    assert code != 0
    assert "the POTCAR Pd of Pd (PBE) is missing" in said
    assert "the POTCAR W_pv of W (PBE) is missing" in said
    assert "POTCAR Al" not in said
    assert command("check", file, "--engine-elsewhere")[0] == 0
    write_potcars(site / "potpaw_PBE", "Pd W")
    code, said = command("check", file)
    assert code == 0, said
    assert f"POTCARs: Al, Pd, W_pv of PBE, from {site}/potpaw_PBE" in said
    assert "VASP: OMP_NUM_THREADS=1 srun vasp_std (dft.vasp_command)" in said


def test_check_says_the_symbol_that_stands_for_one_the_set_does_not_have(site, tmp_path):
    write_potcars(site / "potpaw_PBE.54", "Al Pd W", "PBE_54")
    code, said = command("check", campaign_file(tmp_path, potcar_functional="PBE_54"))
    assert code == 0, said
    assert "W_sv (instead of W_pv, which PBE_54 does not have)" in said


@pytest.mark.parametrize("words", [["submit"], ["run"]])
def test_nothing_is_submitted_without_potcars(site, tmp_path, words, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, said = command(*words, campaign_file(tmp_path))
    assert code != 0
    assert "the set PBE is not in PMG_VASP_PSP_DIR" in said
    assert not (tmp_path / "my_launchpad.yaml").exists()


@pytest.mark.mongo
def test_a_campaign_that_lpad_added_is_refused_without_potcars(site, tmp_path, store, launchpad, monkeypatch):
    monkeypatch.chdir(tmp_path)
    firework = Firework.from_file(str(campaign_file(tmp_path)))
    fw_id = next(iter(launchpad.add_wf(firework).values()))
    launch_rocket(launchpad, fw_id=fw_id, strm_lvl="CRITICAL")
    fizzled = launchpad.get_fw_by_id(fw_id)
    assert fizzled.state == "FIZZLED"
    assert "the set PBE is not in PMG_VASP_PSP_DIR" in str(fizzled.launches[-1].action.stored_data)
    assert store.campaigns.count_documents({}) == 0
    elsewhere = Firework.from_file(str(campaign_file(tmp_path)))
    elsewhere.spec["_engine_elsewhere"] = True
    fw_id = next(iter(launchpad.add_wf(elsewhere).values()))
    launch_rocket(launchpad, fw_id=fw_id, strm_lvl="CRITICAL")
    assert launchpad.get_fw_by_id(fw_id).state == "COMPLETED"


def test_a_file_may_say_that_the_engine_is_elsewhere(tmp_path):
    file = campaign_file(tmp_path)
    text = file.read_text()
    file.write_text(text.replace("  campaign:", "  _engine_elsewhere: true\n  campaign:"))
    assert read_campaign_file(file).name == "vasp"
    file.write_text(text.replace("  campaign:", "  _engine_elsewhere: perhaps\n  campaign:"))
    assert "_engine_elsewhere: found 'perhaps'; right: true or false" in command("check", file)[1]


@pytest.mark.parametrize(
    ("dft", "said"),
    [
        ({"vasp_command": "srun vasp_std > log"}, r"vasp_command: found 'srun vasp_std > log'.*without a shell"),
        (
            {"vasp_command": {"dos": "srun vasp_std", "relaxation": "a | b"}},
            r"vasp_command\.relaxation.*without a shell",
        ),
        ({"vasp_gamma_command": "x && vasp_gam"}, r"vasp_gamma_command.*without a shell"),
        ({"vasp_command": 5}, r"vasp_command: found 5: right: a command line"),
        ({"vasp_command": {"dos": "srun vasp_std", "relax": "x"}}, r"right: a command line.*relax"),
    ],
)
def test_a_command_that_can_run_nowhere_is_refused_wherever_the_engine_is(tmp_path, dft, said):
    code, found = command("check", campaign_file(tmp_path, **dft), "--engine-elsewhere")
    assert code != 0
    assert re.search(said, found, flags=re.DOTALL), found


@pytest.mark.parametrize(
    ("dft", "said"),
    [
        ({"vasp_command": {"dos": "vasp_std", "relaxation": "srun no_vasp"}}, r"vasp_command\.relaxation.*'no_vasp'"),
        ({"vasp_gamma_command": "srun no_gam"}, r"vasp_gamma_command.*'no_gam'"),
    ],
)
def test_what_this_machine_lacks_is_named_unless_the_engine_is_elsewhere(site, tmp_path, dft, said):
    write_potcars(site / "potpaw_PBE", "Al Pd W")
    file = campaign_file(tmp_path, **dft)
    code, found = command("check", file)
    assert code != 0
    assert re.search(said, found), found
    code, found = command("check", file, "--engine-elsewhere")
    assert code == 0
    looked_for = ["note: --engine-elsewhere: vasp_command (", f"`campaign cluster check --submit --campaign {file}`"]
    assert [words for words in looked_for if words not in found] == []


def test_without_a_command_check_says_which_the_node_has(site, tmp_path, monkeypatch):
    write_potcars(site / "potpaw_PBE", "Al Pd W")
    file = campaign_file(tmp_path, vasp_command=None)
    monkeypatch.setenv("ATOMATE2_VASP_CMD", "srun vasp_std")
    code, said = command("check", file)
    assert code == 0, said
    assert "VASP: srun vasp_std (ATOMATE2_VASP_CMD in the environment)" in said
    monkeypatch.setenv("ATOMATE2_VASP_CMD", "srun other_vasp")
    code, said = command("check", file)
    assert code != 0
    assert "'other_vasp'" in said
    assert "ATOMATE2_VASP_CMD in the environment" in said


def test_one_command_line_is_that_of_both_kinds(tmp_path):
    spec = read_campaign_file(campaign_file(tmp_path))
    both = {"dos": VASP["vasp_command"], "relaxation": VASP["vasp_command"]}
    assert spec.dft.model_dump()["vasp_command"] == both
    assert CampaignSpec.model_validate(spec.model_dump(mode="json")) == spec


@pytest.mark.parametrize("engine", ["vasp", "gpaw"])
def test_the_inputs_that_check_writes_are_those_of_the_jobs(site, tmp_path, monkeypatch, engine):
    if engine == "gpaw":
        pytest.importorskip("gpaw_data")
    monkeypatch.delitem(SETTINGS, "PMG_VASP_PSP_DIR")
    dft = {"potcar_functional": "PBE_54"} if engine == "vasp" else {"engine": "gpaw", "vasp_command": None}
    file = campaign_file(tmp_path, encut=450, nedos=901, **dft)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "INCAR").write_text("mine")
    code, said = command("check", file, "--engine-elsewhere", "--write-inputs", tmp_path / "inputs")
    assert code == 0, said
    folders = {name: tmp_path / "inputs" / name for name in ("IS-DOS", "relaxation")}
    for folder in folders.values():
        assert f"wrote {folder}: INCAR, KPOINTS, POSCAR, POTCAR.spec of " in said
        assert sorted(path.name for path in folder.iterdir()) == ["INCAR", "KPOINTS", "POSCAR", "POTCAR.spec"]
        crystal = Poscar.from_file(folder / "POSCAR").structure
        assert len(Kpoints.from_file(folder / "KPOINTS").kpts) == 1
        symbols = (folder / "POTCAR.spec").read_text().split()
        assert [symbol.split("_")[0] for symbol in symbols] == [element.symbol for element in crystal.composition]
    dos, relaxation = (Incar.from_file(folder / "INCAR") for folder in folders.values())
    assert (dos["NSW"], dos["NEDOS"], dos["ENCUT"], dos["ISMEAR"]) == (0, 901, 450, -5)
    assert (relaxation["ISIF"], relaxation["EDIFFG"], relaxation["ENCUT"]) == (3, -0.03, 450)
    assert (tmp_path / "INCAR").read_text() == "mine"


def test_inputs_are_written_although_this_machine_lacks_the_rest(site, tmp_path):
    done = CliRunner().invoke(app, ["check", str(campaign_file(tmp_path)), "--write-inputs", str(tmp_path / "inputs")])
    assert done.exit_code != 0
    assert "no POTCAR is written: POTCAR.spec has the symbols" in done.output
    assert (
        f"note: the input files in {tmp_path / 'inputs'} are complete; the problems do not concern them" in done.output
    )
    assert "the set PBE is not in PMG_VASP_PSP_DIR" in str(done.exception)
    assert (tmp_path / "inputs" / "IS-DOS" / "INCAR").is_file()


def test_inputs_are_written_again_once_the_rest_is_mended(tmp_path):
    words = ("check", campaign_file(tmp_path), "--engine-elsewhere", "--write-inputs", tmp_path / "inputs")
    assert command(*words)[0] == 0
    assert command(*words)[0] == 0


def test_an_archive_in_a_folder_of_its_own_name_is_found(site, tmp_path):
    write_potcars(site / "potpaw_PBE.54" / "potpaw_PBE.54", "Al Pd W", "PBE_54")
    code, said = command("check", campaign_file(tmp_path, potcar_functional="PBE_54"))
    assert code == 0, said
    assert "potpaw_PBE.54/potpaw_PBE.54" in said


def test_a_variable_that_only_the_node_sets_is_a_note(site, tmp_path, monkeypatch):
    monkeypatch.delenv("NODE_SCRATCH", raising=False)
    write_potcars(site / "potpaw_PBE", "Al Pd W", "PBE")
    code, said = command("check", campaign_file(tmp_path, scratch="$NODE_SCRATCH"))
    assert code == 0, said
    assert "$NODE_SCRATCH is not set here; it must be set on the compute nodes" in said


@pytest.mark.parametrize("kind", ["full", "file"])
def test_inputs_go_into_no_folder_that_holds_something(tmp_path, kind):
    folder = tmp_path / "inputs"
    if kind == "file":
        folder.write_text("mine")
    else:
        folder.mkdir()
        (folder / "POSCAR").write_text("mine")
    code, said = command("check", campaign_file(tmp_path), "--engine-elsewhere", "--write-inputs", folder)
    assert code != 0
    assert "right: a new or an empty folder" in said
    assert (folder if kind == "file" else folder / "POSCAR").read_text() == "mine"


def test_a_cluster_is_asked_for_the_commands_and_potcars_of_all_campaigns(tmp_path):
    one = read_campaign_file(campaign_file(tmp_path))
    other = read_campaign_file(
        campaign_file(tmp_path, potcar_functional="PBE_54", vasp_command={"dos": "vasp_gpu", "relaxation": None})
    )
    gpaw = read_campaign_file(write_campaign(tmp_path / "g.yaml", **SMALL))
    questions = engine_questions([one, other, gpaw])
    assert questions["dos"].commands == [VASP["vasp_command"], "vasp_gpu"]
    assert questions["relax"].commands == [VASP["vasp_command"]]
    wanted = {"PBE": ["Al", "Pd", "W"], "PBE_54": ["Al", "Pd", "W"]}
    assert questions["dos"].potcars == questions["relax"].potcars == together(questions).potcars == wanted


@pytest.mark.parametrize(
    ("dft", "said"),
    [
        ({"quality": "standard"}, []),
        ({"quality": "fast"}, ["do not state their k-points", "quality: fast"]),
        ({"quality": "standard", "encut": 400}, ["do not state their cutoff", "400 eV"]),
        ({"quality": "fast", "encut": 400}, ["quality: fast", "400 eV"]),
    ],
)
def test_entries_that_were_computed_more_finely_are_noted(tmp_path, dft, said):
    spec = {"run_type": "GGA", "is_hubbard": False, "hubbards": {}}
    entries = [
        {
            "energy": energy,
            "composition": {element: 1},
            "entry_id": element,
            "parameters": {**spec, "potcar_spec": [{"titel": title_of(element)}]},
        }
        for element, energy in (("Al", -3.7), ("Pd", -5.2), ("W", -13.0))
    ]
    (tmp_path / "e.json").write_text(json.dumps({"engine": "vasp", "entries": entries}))
    file = campaign_file(tmp_path, **dft)
    file.write_text(file.read_text().replace("    model:", "    references: {entries: e.json}\n    model:"))
    code, found = command("check", file, "--engine-elsewhere")
    assert code == 0, found
    assert all(part in found for part in said)
    assert ("note: the entries do not state" in found) == bool(said)
    file.write_text(file.read_text().replace("engine: vasp", "engine: vasp\n      potcar_functional: PBE_54"))
    code, found = command("check", file, "--engine-elsewhere")
    assert code != 0
    assert "energies of different PAW data sets must not be mixed in one hull" in found


@pytest.mark.parametrize("text", ["VASP_CMD: [1,\n", "VASP_CMD: 5\n", "- a\n"])
def test_settings_of_atomate2_that_cannot_be_read_are_named(site, tmp_path, monkeypatch, text):
    write_potcars(site / "potpaw_PBE", "Al Pd W")
    file = tmp_path / "atomate2.yaml"
    file.write_text(text)
    monkeypatch.setenv("ATOMATE2_CONFIG_FILE", str(file))
    code, said = command("check", campaign_file(tmp_path))
    assert code != 0
    assert f"dft.engine: atomate2's settings ({file}" in said


def test_a_campaign_of_another_engine_needs_no_potcars(tmp_path, monkeypatch):
    monkeypatch.delenv("PMG_VASP_PSP_DIR", raising=False)
    monkeypatch.delitem(SETTINGS, "PMG_VASP_PSP_DIR", raising=False)
    check_potcars(read_campaign_file(write_campaign(tmp_path / "g.yaml", **SMALL)))


def test_moments_of_other_elements_and_tags_given_twice_are_refused(tmp_path):
    for dft, said in (
        ({"magmom": {"Fe": 3.0}}, "dft.magmom.Fe: found 'Fe', which is not in candidates.elements"),
        ({"incar": {"NCORE": 8, "ncore": 4}}, "NCORE: is given twice, also as 'ncore'"),
    ):
        with pytest.raises(CampaignFileError, match=re.escape(said)):
            read_campaign_file(campaign_file(tmp_path, **dft))


@pytest.mark.parametrize("words", [["--engine-elsewhere"], ["--write-inputs", "inputs"]])
def test_a_broken_file_of_atomate2_is_named_whatever_is_asked(site, tmp_path, monkeypatch, words):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "atomate2.yaml").write_text("{ENCUT: 680\n foo: [")
    monkeypatch.setenv("ATOMATE2_CONFIG_FILE", str(tmp_path / "atomate2.yaml"))
    done = CliRunner().invoke(app, ["check", str(campaign_file(tmp_path)), *words])
    assert isinstance(done.exception, CampaignFileError), done.exception
    assert "atomate2's settings" in str(done.exception)
    assert not (tmp_path / "inputs").exists()


@pytest.mark.parametrize("dft", [{"scratch": "~nobody-here/scratch"}])
def test_the_home_of_a_user_that_there_is_not_is_named(site, tmp_path, dft):
    with pytest.raises(CampaignFileError, match="relative path"):
        check_engine(read_campaign_file(campaign_file(tmp_path, **dft)))
