"""`import campaign`: a campaign's results as a frame, its crystals, entries and hull; every name is documented."""

import doctest
import importlib
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from pymatgen.core import Composition
from typer.testing import CliRunner

import campaign
import esnet
from campaign.cli.app import app
from campaign.store.campaigns import UnknownCampaignError
from esnet.cli.app import app as esnet_app
from esnet.files.errors import UserError

ROOT = Path(__file__).resolve().parents[2]
PUBLIC = [(package, name) for package in (campaign, esnet) for name in package.__all__]


@pytest.mark.mongo
def test_the_frame_has_the_numbers_of_the_json(finished):
    printed = CliRunner().invoke(app, ["results", "quickstart", "--format", "json"])
    rows = json.loads(printed.stdout)
    opened = campaign.open_campaign("quickstart", finished.folder / "my_launchpad.yaml")
    frame = opened.results(structures=True)
    assert list(frame.columns) == list(rows[0])
    for found, row in zip(frame.to_dict("records"), rows, strict=True):
        for name, value in row.items():
            missing = found[name] is None or (np.isscalar(found[name]) and found[name] != found[name])
            missing = missing or str(found[name]) == "<NA>"
            assert missing if value is None else found[name] == value, name
    assert str(frame.dtypes["e_form_ml"]) == "float64"
    assert str(frame.dtypes["uncertainty"]) == "float64"  # although this model states none
    assert frame.stable.eq(True).sum() == opened.metrics()["n_stable"]
    assert "structure" not in opened.results().columns
    assert repr(opened) == "<campaign 'quickstart', finished, 7 candidates screened>"


@pytest.mark.mongo
def test_crystals_entries_and_hull_agree_with_the_frame(finished):
    opened = campaign.open_campaign("quickstart")
    frame = opened.results().set_index("id")
    crystals = opened.structures("relaxed")
    assert list(crystals) == list(frame.index[frame.state == "relaxed"])
    entries = {entry.entry_id: entry for entry in opened.entries() if entry.data["role"] == "candidate"}
    assert entries.keys() == crystals.keys()
    hull = opened.hull()
    for name, crystal in crystals.items():
        e_form = hull.formation_energies([crystal.composition], [entries[name].energy])
        assert e_form[0] == pytest.approx(frame.e_form_dft[name], abs=1e-6)
        assert hull.distances([crystal.composition], e_form)[0] == pytest.approx(frame.e_hull_dft[name], abs=1e-6)
    assert opened.hull("Al-Pd").elemental_energies.keys() == {"Al", "Pd"}
    assert hull.decompositions([Composition("AlPd3")]) == [pytest.approx({"Pd": 0.75, "Al": 0.25})]


@pytest.mark.mongo
def test_errors_say_what_there_is(finished):
    with pytest.raises(UnknownCampaignError, match="quickstart"):
        campaign.open_campaign("another")
    with pytest.raises(AttributeError, match="the package campaign has no attribute 'open_campain'"):
        campaign.open_campain  # noqa: B018


@pytest.mark.mongo
def test_the_examples_of_the_campaigns_docstrings_are_true(finished):
    assert_examples_are_true("campaign.api")


@pytest.mark.keras
def test_a_file_and_its_complete_dos_are_predicted_the_same():
    from pymatgen.io.vasp import Vasprun

    file = ROOT / "tests" / "campaign" / "playback" / "AlCu" / "vasprun.xml.gz"
    bundle = esnet.open_bundle("gpaw-fast-binary")
    of_file, of_dos = esnet.predict(bundle, [file, Vasprun(file, parse_potcar_file=False).complete_dos])
    assert of_file.id == str(file)
    assert (of_dos.id, of_dos.novel) == ("AlCu", of_file.novel)
    assert of_dos.e_form == pytest.approx(of_file.e_form, abs=1e-4)
    assert 0.0 < of_file.uncertainty < 1.0
    done = CliRunner().invoke(esnet_app, ["predict", "gpaw-fast-binary", str(file), "--format", "json"])
    (row,) = json.loads(done.stdout)
    assert row["e_form"] == pytest.approx(of_file.e_form, abs=1e-5)
    assert (row["file"], row["novel"]) == (str(file), of_file.novel)
    with pytest.raises(UserError, match=r"sources\[1\] is int; right: the path of a vasprun\.xml"):
        esnet.predict(bundle, [file, 3])


@pytest.mark.keras
def test_the_examples_of_the_models_docstrings_are_true(tmp_path, monkeypatch):
    import gzip

    packed = ROOT / "tests" / "campaign" / "playback" / "AlCu" / "vasprun.xml.gz"
    (tmp_path / "vasprun.xml").write_bytes(gzip.decompress(packed.read_bytes()))
    monkeypatch.chdir(tmp_path)
    assert_examples_are_true("esnet.api")


@pytest.mark.parametrize(
    "module", ["campaign.hull.hull", "campaign.metrics.metrics", "campaign.replay.comparison", "campaign.replay.read"]
)
def test_the_examples_of_what_needs_no_database_are_true(module, monkeypatch):
    monkeypatch.chdir(ROOT)
    assert_examples_are_true(module)


def assert_examples_are_true(module):
    found = doctest.testmod(importlib.import_module(module), optionflags=doctest.NORMALIZE_WHITESPACE)
    assert found.attempted >= 2
    assert found.failed == 0


@pytest.mark.parametrize(("package", "name"), PUBLIC, ids=[f"{package.__name__}.{name}" for package, name in PUBLIC])
def test_every_public_name_says_what_it_takes_and_gives(package, name):
    found = getattr(package, name)
    assert name in dir(package)
    text = found.__doc__
    assert len(text) > 40
    if not isinstance(found, type):
        for section in ("Parameters", "Returns", "Raises"):
            assert f"{section}\n    ---" in text, section
        assert ">>> import" in text
    elif found is campaign.CampaignResults:
        methods = [member for key, member in vars(found).items() if not key.startswith("_") and callable(member)]
        assert all(">>> import" in method.__doc__ for method in methods)


def test_importing_both_packages_loads_nothing_of_them():
    ours = "sorted(name for name in sys.modules if name.startswith(('campaign', 'esnet')))"
    code = f"import sys, campaign, esnet; print({ours})"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "['campaign', 'esnet']"
