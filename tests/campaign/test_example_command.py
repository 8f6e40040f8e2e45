"""`campaign example` gives the user of an installed package the campaign files of the repository's folder examples/."""

from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from campaign.cli.app import app
from esnet.files.errors import UserError

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
runner = CliRunner()


def test_every_example_of_the_repository_is_listed_and_written_as_it_is(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = [file.stem for file in EXAMPLES.glob("*.yaml")]
    listed = runner.invoke(app, ["example"]).output
    assert sorted(line.split()[0] for line in listed.splitlines()) == sorted(names)
    assert listed.startswith("quickstart ")
    for name in names:
        said = runner.invoke(app, ["example", name])
        assert said.exit_code == 0, said.output
        assert f"campaign check {name}.yaml" in said.output
        written = (tmp_path / f"{name}.yaml").read_text()
        assert yaml.safe_load(written) == yaml.safe_load((EXAMPLES / f"{name}.yaml").read_text())
        assert f"examples/{name}.yaml" not in written


def test_nothing_is_overwritten_and_a_wrong_name_is_answered_with_the_right_ones(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "mine" / "first.yaml"
    assert runner.invoke(app, ["example", "vasp", "--output", str(file)]).exit_code == 0
    file.write_text("name: mine\n")
    with pytest.raises(UserError, match=r"first\.yaml exists: give another file with --output"):
        runner.invoke(app, ["example", "vasp", "--output", str(file)], catch_exceptions=False)
    assert file.read_text() == "name: mine\n"
    with pytest.raises(UserError, match="no such example; there are quickstart, "):
        runner.invoke(app, ["example", "vsap"], catch_exceptions=False)
