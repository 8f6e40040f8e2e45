"""What the README and the pages it grew into promise: campaign files are ones, queries work, links lead somewhere."""

import json
import os
import re
import runpy
import subprocess
import sys
from pathlib import Path

import pytest
from finished_campaign import NAME
from ruamel.yaml import YAML

from campaign.spec.reader import read_firework_spec

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
README = ROOT / "README.md"
CAMPAIGN_FILE = DOCS / "reference" / "campaign-file.md"
DATABASE = DOCS / "reference" / "data.md"
GLOSSARY = DOCS / "reference" / "glossary.md"
PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]


def blocks(page: Path, language: str) -> list[str]:
    """Texts of a page's fenced blocks of one language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)


# ---- the first page


def test_the_readme_is_short():
    assert len(README.read_text(encoding="utf-8").split()) <= 1200


def test_the_figure_of_the_loop_is_as_its_program_draws_it():
    program = DOCS / "images" / "loop.py"
    drawn = runpy.run_path(str(program))["picture"]()
    assert (DOCS / "images" / "loop.svg").read_text(encoding="utf-8") == drawn


def test_the_ten_lines_are_the_campaign_of_the_quickstart():
    (text,) = blocks(README, "yaml")
    assert len(text.splitlines()) == 10
    shown = YAML(typ="safe", pure=True).load(text)
    quickstart = YAML(typ="safe", pure=True).load((ROOT / "examples" / "quickstart.yaml").read_text(encoding="utf-8"))
    short = read_firework_spec(shown["spec"], name="same")
    whole = read_firework_spec(quickstart["spec"], name="same")
    for section in ("candidates", "references", "dft", "policy", "stable"):
        assert getattr(short, section) == getattr(whole, section), section
    assert short.model.bundle == whole.model.bundle


def test_the_glossary_of_the_readme_is_part_of_the_whole_one():
    section = README.read_text(encoding="utf-8").split("## Glossary")[1].split("\n## ")[0]
    short = dict(re.findall(r"^\* \*\*(.+?)\*\*: (.+)$", section, flags=re.MULTILINE))
    whole = dict(re.findall(r"^\| ([^|]+) \| ([^|]+) \|$", GLOSSARY.read_text(encoding="utf-8"), flags=re.MULTILINE))
    assert len(short) >= 8
    for terms, meaning in short.items():
        if terms in whole:
            assert meaning == whole[terms], terms
        else:
            assert set(terms.split(", ")) <= set(whole), f"{terms} is missing in the glossary"
    names = list(whole)[2:]
    assert names == sorted(names, key=str.lower)


# ---- the campaign file


def test_the_campaign_file_shown_is_right_and_has_every_default():
    (text,) = blocks(CAMPAIGN_FILE, "yaml")
    shown = YAML(typ="safe", pure=True).load(text)
    spec = read_firework_spec(shown["spec"], name=shown["name"])
    required = {key: shown["spec"]["campaign"]["candidates"][key] for key in ("prototypes", "elements")}
    assert spec == read_firework_spec({"campaign": {"candidates": required}}, name=shown["name"])
    full = spec.to_firework_dict()
    assert fields_of(shown) == fields_of(full), "a field is missing on the page, or is there and not in the program"


def fields_of(content: dict, prefix: str = "") -> set[str]:
    return {
        name
        for key, value in content.items()
        for name in (fields_of(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}"})
    }


def test_every_shipped_prototype_is_named():
    from campaign.candidates.prototypes import shipped_prototypes

    lines = CAMPAIGN_FILE.read_text(encoding="utf-8").splitlines()
    (line,) = [line for line in lines if line.startswith("* Shipped prototypes:")]
    assert set(line.removeprefix("* Shipped prototypes:").strip(" .").split(", ")) == set(shipped_prototypes())


# ---- links


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


@pytest.mark.mongo
def test_the_five_queries_show_a_finished_campaign(finished, capsys):
    connect, *queries = blocks(DATABASE, "python")[:6]
    namespace: dict = {}
    exec(connect, namespace)
    shown = []
    for query in queries:
        exec(query, namespace)
        shown.append(capsys.readouterr().out)
    namespace["db"].client.close()
    stable, decisions, problems, cost, crystal = shown
    (first,) = blocks(README, "python")
    exec(first, namespace)
    namespace["db"].client.close()
    assert capsys.readouterr().out == stable
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
    (console,) = blocks(DATABASE, "console")
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
    """Names in code type in the first and in the second column of the page's table between two texts."""
    lines = DATABASE.read_text(encoding="utf-8").split(start)[1].split(end)[0].splitlines()
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
        "retried_failure",
        "overrides",
        "correction_error",
        "previous_predictions",
        "previous_decisions",
    }
    for fields, parts in rows:
        if fields & {"calculation", "is_dos", "prediction", "decision", "result"}:
            inside = {key for document in candidates for field in fields for key in document.get(field) or {}}
            # of a calculation that another campaign has done; of a person's decision
            elsewhere = {"reused_from", "host", "user", "said", "over_budget"}
            assert parts - elsewhere <= inside, fields


@pytest.mark.mongo
def test_the_collections_named_are_there(finished):
    rows = table_rows("| collection |", "A candidate (energies")
    named = set().union(*(first for first, _ in rows)) - {"data"}  # GridFS: data.files and data.chunks
    # models is filled by a training, launches by a worker: neither has run here
    assert named - {"models", "launches"} <= set(finished.store.database.list_collection_names())
    (campaign,) = finished.store.campaigns.find()
    assert rows[0][1] - set(campaign) == {"problem", "settings"}  # nothing went wrong, nothing was changed
