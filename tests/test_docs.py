"""The documentation: it builds without a warning, leaves nothing of the program out, and its commands can be typed."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from command_lines import PROGRAMS, commands, problem_of
from ruamel.yaml import YAML
from typer.testing import CliRunner

from campaign.cli.app import app
from campaign.spec.reader import read_firework_spec

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(DOCS.rglob("*.md"))]
EXAMPLES = sorted((ROOT / "examples").glob("*.yaml"))
COMMANDS = commands()


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


# ---- the build


def build(source: Path, output: Path) -> subprocess.CompletedProcess:
    """Build as `make docs` does."""
    options = ["-W", "--keep-going", "-n", "-E", "-q", "-b", "html", "-c", str(DOCS)]
    return subprocess.run(
        [sys.executable, "-m", "sphinx", *options, str(source), str(output)],
        capture_output=True,
        text=True,
        timeout=300,
    )


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    output = tmp_path_factory.mktemp("docs")
    done = build(DOCS, output)
    assert done.returncode == 0, done.stderr
    return output


def shown(site: Path, page: str) -> str:
    """What a reader sees of a page."""
    from lxml import html

    article = html.parse(str(site / page)).find(".//article")
    return " ".join(article.text_content().split())


def test_it_builds_without_a_warning_and_every_page_can_be_found(site):
    front = (site / "index.html").read_text(encoding="utf-8")
    pages = {str(page.relative_to(DOCS).with_suffix("")) for page in DOCS.rglob("*.md")} - {"index"}
    assert not {page for page in pages if f'href="{page}.html"' not in front}
    assert not re.findall(r"(?:src|href)=\"https?://[^\"]*\.(?:js|css|woff2?)", front), "it reads without a network"


@pytest.mark.parametrize(
    "text",
    ["[x](nowhere.md)", "[x](#nowhere)", "![x](nowhere.png)", "[x](nowhere.yaml)", "% generated: x", "% file: x.md"],
)
def test_a_broken_link_or_mark_fails_the_build(text, tmp_path):
    source = tmp_path / "docs"
    source.mkdir()
    (source / "index.md").write_text(f"# Title\n\n{text}\n")
    assert build(source, tmp_path / "built").returncode != 0


# ---- what is made from the program


def fields_of(content: dict, prefix: str = "") -> dict:
    return {
        name: found
        for key, value in content.items()
        for name, found in (
            fields_of(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value}
        ).items()
    }


def test_no_field_of_a_campaign_file_is_left_out(site):
    from lxml import html

    from campaign.spec.reader import read_firework_spec

    campaign = {"candidates": {"prototypes": ["B2"], "elements": ["Al", "Pd"]}}
    spec = read_firework_spec({"campaign": campaign}, name="x").model_dump(mode="json")
    rows = html.parse(str(site / "reference/campaign-file.html")).findall(".//tbody/tr")
    found = {row[0].text_content().strip(): [cell.text_content().strip() for cell in row] for row in rows}
    assert {name.split(".")[-1] for name in fields_of(spec)} <= set(found)
    assert found["encut"] == [
        "encut", "number at least 100 and at most 5000", "eV", "520", "plane-wave cutoff in eV"
    ]  # fmt: skip
    assert found["elements"][3] == "null"
    assert found["max_dos"][2:4] == ["states/eV per atom", "50"]


def test_every_number_of_a_campaign_file_has_a_unit_or_is_known_to_have_none(site):
    from lxml import html

    without = {
        *(
            "learning_rate",
            "fine_tuning_factor",
            "plateau_factor",
            "validation_fraction",
            "min_completed_fraction",
            "audit",
            "dos_share",
            "explore",
            "p",
        ),
        *("gpus_per_actor", "time_factor", "memory_factor", "z", "calibration"),
    }
    rows = html.parse(str(site / "reference/campaign-file.html")).findall(".//tbody/tr")
    cells = [[cell.text_content().strip() for cell in row] for row in rows]
    bare = {row[0] for row in cells if row[1].startswith("number") and not row[2]}
    assert bare <= without, "say the unit in the field's description, e.g. 'in eV', or name it here"


def test_no_command_and_no_option_is_left_out(site):
    text = shown(site, "reference/commands.html")
    for words, command in COMMANDS.items():
        assert words in text
        for parameter in command.params:
            assert (
                parameter.name == "help" or parameter.opts[0] in text or (parameter.metavar or "").strip("[]") in text
            )


def test_no_field_of_a_stored_document_is_left_out(site):
    from campaign.store.documents import AttemptDocument, CampaignDocument, CandidateDocument, StepDocument

    text = shown(site, "reference/schema.html")
    for document in (AttemptDocument, CampaignDocument, CandidateDocument, StepDocument):
        assert not [name for name in document.__annotations__ if name not in text.split()]


def test_the_page_of_the_science_has_the_defaults_of_the_program():
    from campaign.policies.thresholds import Thresholds
    from campaign.spec.sections.dft import DftSection
    from campaign.spec.sections.stable import StableSection

    page = (DOCS / "explanation" / "science.md").read_text(encoding="utf-8")
    table = page.split("## DFT")[1].split("\n\n")[1].replace(",", "")
    checked = set()
    for row in table.splitlines():
        numbers = {float(number) for number in re.findall(r"-?\d+(?:\.\d+)?(?:e-?\d+)?(?= |A|$)", row)}
        for name in re.findall(r"`dft\.(\w+)`", row):
            default = DftSection.model_fields[name].default
            checked.add(name)
            assert isinstance(default, str) or default in numbers, f"{name}: {default} against {row}"
    assert {"encut", "ediff", "force_tolerance", "kpoint_length", "nedos", "emin", "emax"} <= checked
    words = {line.split("|")[1].strip(): line for line in page.splitlines() if line.startswith("| ")}
    for word, section in (("promoted", Thresholds()), ("stable", StableSection())):
        for limit in (section.max_formation_energy, section.max_hull_energy):
            assert f"<= {limit:g}" in words[word].replace("0.0 ", "0 ")


# ---- the commands that pages show


def fenced(page: Path, *languages: str) -> list[str]:
    """Texts of a page's fenced blocks of some languages ("" for none)."""
    blocks = re.findall(r"^```([a-z]*)\n(.*?)^```$", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    return [text for language, text in blocks if language in languages]


def command_lines(text: str) -> list[str]:
    """Lines of a block that call one of our programs."""
    lines = text.replace("\\\n", " ").splitlines()
    return [line for line in (line.removeprefix("$ ") for line in lines) if line.split(" ")[0] in PROGRAMS]


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_fenced_block_is_closed_and_a_page_has_one_title(page):
    """A page that is split in the middle of a block leaves its end on the other page, as headings and prose."""
    lines = re.sub(r"^( *)```.*?^\1```$", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    assert "```" not in lines
    assert len(re.findall(r"^# ", lines, flags=re.MULTILINE)) <= 1


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_command_line_of_a_page_can_be_typed(page):
    lines = [line for block in fenced(page, "console", "sh", "bash", "") for line in command_lines(block)]
    wrong = [found for line in lines if (found := problem_of(line, COMMANDS))]
    assert not wrong, "a block that only sketches commands is one of the language text"


@pytest.mark.parametrize("page", EXAMPLES, ids=name_of)
def test_every_command_line_in_an_example_can_be_typed(page):
    text = re.sub(r"^#\s*", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE)
    lines = [re.split(r"\s{3,}", line)[0] for line in command_lines(text)]
    assert lines
    assert not [found for line in lines if (found := problem_of(line, COMMANDS))]


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_command_named_in_a_text_exists_with_its_options(page):
    text = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    for named in re.findall(r"`((?:campaign|esnet) [a-z][^`]*)`", text):
        for part in re.split(r"\s(?:\\?\||or)\s(?=campaign|esnet)", named):
            words, *rest = part.split()
            while rest and f"{words} {rest[0]}" in COMMANDS:
                words = f"{words} {rest.pop(0)}"
            is_group = hasattr(COMMANDS[words], "commands")
            # behind a group comes a name for its commands (COMMAND, ...), or nothing
            assert not (is_group and rest and rest[0].islower() and rest[0][0].isalpha()), f"no such command: {named}"
            inner = [found for known, found in COMMANDS.items() if known.startswith(words)]
            options = {option for found in inner for one in found.params for option in (*one.opts, *one.secondary_opts)}
            assert set(re.findall(r"--[a-z][a-z-]+", part)) <= options | {"--help"}, f"{name_of(page)}: {named}"


def test_every_target_of_make_that_a_page_names_exists():
    there = set(re.findall(r"^([a-z-]+):.*## ", (ROOT / "Makefile").read_text(encoding="utf-8"), flags=re.MULTILINE))
    named = {
        found
        for page in PAGES
        for found in re.findall(r"(?:`|^|\$ )make ([a-z][a-z-]+)", page.read_text(encoding="utf-8"), flags=re.MULTILINE)
    }
    assert named
    assert named <= there


# ---- pages whose commands and queries are run, on a campaign that the project's own functions have written


@pytest.mark.mongo
def test_the_commands_of_the_first_page_do_what_it_says(finished):
    """Its blocks of the language console, line by line; what takes minutes is of the language sh (installing, DFT)."""
    (finished.folder / "examples").symlink_to(ROOT / "examples")
    blocks = fenced(DOCS / "tutorials" / "quickstart.md", "console")
    lines = [line.removeprefix("$ ") for block in blocks for line in block.splitlines()]
    assert all(block.startswith("$ ") for block in blocks)
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    shown = {}
    for line in lines:
        done = subprocess.run(
            ["bash", "-c", line], cwd=finished.folder, env=environment, capture_output=True, text=True, timeout=120
        )
        assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"
        shown[line] = done.stdout
    assert "promoted" in shown["campaign results quickstart"]
    assert "E_f(ML) = " in shown["campaign explain quickstart AlPd:B2"]
    assert "my-alloys.yaml: no problems" in shown["campaign check my-alloys.yaml"]
    assert "6 candidates" in shown["campaign check my-alloys.yaml"]
    assert "AlPd,B2" in (finished.folder / "quickstart.csv").read_text()


@pytest.mark.mongo
def test_the_commands_of_the_page_on_own_structures_do_what_it_says(launchpad_file, tmp_path, monkeypatch):
    """Line by line; commands of ours in this process, since to begin one takes longer than what it does."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    shown = {}
    for line in "".join(fenced(DOCS / "tutorials" / "own-structures.md", "console")).removeprefix("$ ").split("\n$ "):
        program, *words = shlex.split(line)
        if program == "campaign":
            result = CliRunner().invoke(app, words)
            assert result.exit_code == 0, f"{line}\n{result.output}{result.exception!r}"
            shown[line.strip()] = result.stdout
            continue
        done = subprocess.run(["bash", "-c", line], capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"
        shown[line.strip()] = done.stdout
    said = " ".join(shown["campaign check generated.yaml"].split())
    (promised,) = fenced(DOCS / "tutorials" / "own-structures.md", "text")
    for words in promised.splitlines():
        assert words in said
    (content,) = fenced(DOCS / "tutorials" / "own-structures.md", "yaml")
    assert YAML(typ="safe").load(content) == YAML(typ="safe").load(tmp_path / "generated.yaml")
    assert "gen_0004" in shown["cat generated.left_out.csv"]
    assert "as given: gen_0002" in shown["campaign explain generated gen_0002"]
    assert "gen_0001" in shown["campaign results generated"]
    assert "1 of 6 crystals added" in shown["campaign add generated --as-given more.jsonl"]


@pytest.mark.mongo
def test_the_queries_of_the_page_of_the_data_show_a_finished_campaign(finished, capsys):
    from launchers.database.settings import DatabaseSettings, find_launchpad_file

    namespace = {"db": DatabaseSettings.from_file(find_launchpad_file()).database()}
    shown = []
    for query in fenced(DOCS / "reference" / "data.md", "python")[6:]:
        exec(query, namespace)
        shown.append(capsys.readouterr().out)
    namespace["db"].client.close()
    errors, fireworks, history, attempts, phases = shown
    # what is predicted is what is computed, and 0.02 eV/atom more
    assert errors.startswith("MAE 0.020, bias +0.020 eV/atom")
    assert "relax READY" in fireworks
    assert history.splitlines()[-1].endswith("relax relaxed")
    assert len(attempts.splitlines()) == 3
    assert phases.startswith("gpaw PBE none computed")
    assert "quickstart/reference/Al" in phases


def test_what_is_shown_as_a_page_of_the_site_is_shown_whole(site):
    assert "A campaign in ten lines" in shown(site, "readme.html")
    assert "Two commands" in shown(site, "readme.html")


def test_the_campaign_file_of_the_page_on_vasp_is_one():
    (text,) = fenced(DOCS / "tutorials" / "vasp.md", "yaml")
    shown = YAML(typ="safe", pure=True).load(text)
    spec = read_firework_spec(shown["spec"], name=shown["name"])
    assert (spec.dft.engine, spec.purpose, spec.candidates.max_candidates) == ("vasp", "training_set", 3)
