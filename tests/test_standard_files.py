"""Files that forges, citation managers and tools read: they agree with pyproject.toml and with the Makefile."""

import re
import tomllib
from pathlib import Path

import pytest
from ruamel.yaml import YAML

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
TEXTS = [
    *sorted(path for path in (ROOT / ".github").rglob("*") if path.is_file()),
    *(ROOT / name for name in (".pre-commit-config.yaml", ".readthedocs.yaml", "CITATION.cff")),
    *sorted(ROOT.glob("*.md")),
]


def read(path: Path) -> dict:
    return YAML(typ="safe", pure=True).load(path.read_text(encoding="utf-8"))


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def test_the_citation_is_of_this_version_and_licence():
    citation = read(ROOT / "CITATION.cff")
    stated = {key: citation[key] for key in ("cff-version", "title", "version", "license")}
    expected = {"title": PROJECT["name"], "version": PROJECT["version"], "license": PROJECT["license"]}
    assert stated == {"cff-version": "1.2.0", **expected}
    assert citation["authors"] == PROJECT["authors"]


def test_the_citation_names_the_paper_that_the_readme_names():
    (paper,) = read(ROOT / "CITATION.cff")["references"]
    citation = (ROOT / "README.md").read_text(encoding="utf-8").split("## Citation")[1]
    assert paper["doi"] in citation
    assert paper["title"] in citation
    assert all(author["family-names"] in citation for author in paper["authors"])


@pytest.mark.parametrize("path", WORKFLOWS, ids=name_of)
def test_a_workflow_calls_targets_of_make_and_may_only_read(path):
    workflow = read(path)
    targets = set(re.findall(r"^([a-z-]+):.*## ", (ROOT / "Makefile").read_text(encoding="utf-8"), flags=re.MULTILINE))
    commands = [step["run"] for job in workflow["jobs"].values() for step in job["steps"] if "run" in step]
    assert {command.removeprefix("make ") for command in commands} <= targets
    assert {"make lint", "make test", "make docs"} <= set(commands)
    assert workflow["permissions"] == {"contents": "read"}
    assert not any("permissions" in job for job in workflow["jobs"].values())


def test_every_supported_python_is_tested():
    matrix = read(ROOT / ".github" / "workflows" / "ci.yml")["jobs"]["test"]["strategy"]["matrix"]["python"]
    classified = {found[1] for line in PROJECT["classifiers"] if (found := re.search(r":: Python :: (3\.\d+)$", line))}
    assert set(matrix) == classified


def test_hooks_download_nothing():
    hooks = read(ROOT / ".pre-commit-config.yaml")["repos"]
    assert [repository["repo"] for repository in hooks] == ["local"]
    assert {hook["language"] for hook in hooks[0]["hooks"]} == {"system"}


@pytest.mark.parametrize("path", TEXTS, ids=name_of)
def test_the_address_of_the_repository_is_stated_in_pyproject_alone(path):
    text = path.read_text(encoding="utf-8")
    assert not [address for address in PROJECT["urls"].values() if address in text], "refer to [project.urls] instead"
