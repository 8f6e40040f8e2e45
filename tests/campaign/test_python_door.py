"""`import campaign`: a campaign's results as a frame, its crystals, entries and hull; every name is documented."""

import dataclasses
import doctest
import gzip
import importlib
import inspect
import json
import re
import subprocess
import sys
from functools import cached_property
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import numpy as np
import pytest
from pymatgen.core import Composition
from typer.testing import CliRunner

import campaign
import esnet
from campaign.cli.app import app
from campaign.store.campaigns import UnknownCampaignError
from esnet.bundle.networks import Networks
from esnet.cli.app import app as esnet_app
from esnet.files.errors import UserError

ROOT = Path(__file__).resolve().parents[2]


def page_module():
    """What makes the page: this test looks at the same members."""
    spec = spec_from_file_location("python_names", ROOT / "docs" / "extensions" / "python_names.py")
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


public_members = page_module().public_members


LOADED: dict[str, Networks] = {}


@pytest.fixture
def loaded_once(monkeypatch):
    """Load the networks of a bundle for the first test that predicts, not for each example: that takes ten seconds."""
    load = Networks.load

    def once(info):
        if info.checksum not in LOADED:
            LOADED[info.checksum] = load(info)
        return LOADED[info.checksum]

    monkeypatch.setattr(Networks, "load", once)


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
def test_a_campaign_gives_its_dos_and_what_it_knows_for_a_replay(finished):
    opened = campaign.open_campaign("quickstart")
    dos = opened.dos("AlPd:B2")
    assert (dos.unit, dos.is_spin_polarised) == ("states/(eV atom)", True)
    assert dos.total() == pytest.approx(np.full(1500, 18.0))
    failing = finished.failing
    with pytest.raises(UserError, match=rf"{failing} .*: its IS-DOS is not computed; its state is dos_failed"):
        opened.dos(failing)
    with pytest.raises(UserError, match="its RS-DOS is not computed"):
        opened.dos("AlPd:B2", relaxed=True)
    with pytest.raises(UserError, match="has no candidate 'AlPd:B9'; right: an id"):
        opened.dos("AlPd:B9")
    data = opened.replay_data()
    relaxed = opened.results().query("state == 'relaxed' and e_form_ml == e_form_ml")
    assert {known.id for known in data.candidates} == set(relaxed.id)
    comparison = campaign.compare(data, {"all": "thresholds:max_formation_energy=0.5,max_hull_energy=0.5"})
    assert comparison.policies["all"][0].relaxations == len(data.candidates)


@pytest.mark.mongo
@pytest.mark.keras
def test_a_campaign_predicts_from_what_it_has_stored(finished, loaded_once):
    opened = campaign.open_campaign("quickstart")
    dos = opened.dos("AlPd:B2")
    by_campaign = opened.predict("gpaw-fast-binary", [finished.failing, dos.name])
    assert [found.id for found in by_campaign] == [finished.failing, dos.name]
    assert (by_campaign[0].e_form, by_campaign[0].reason) == (
        None,
        "its IS-DOS is not computed; its state is dos_failed",
    )
    assert by_campaign[1].e_form == pytest.approx(esnet.predict("gpaw-fast-binary", dos)[0].e_form, abs=1e-5)
    with pytest.raises(UserError, match="has no candidate no-such-id; right: ids as in `campaign results"):
        opened.predict("gpaw-fast-binary", ["no-such-id"])


def test_replays_say_what_is_wrong_with_a_policy(monkeypatch):
    monkeypatch.chdir(ROOT)
    data = campaign.read_replay_data("examples/replay.csv")
    with pytest.raises(UserError, match="policy 'treshold'"):
        campaign.compare(data, ["treshold"])
    with pytest.raises(UserError, match="policies: found none; right: at least one"):
        campaign.compare(data, [])
    with pytest.raises(UserError, match="seeds: found none; right: at least one integer"):
        campaign.compare(data, "thresholds", seeds=[])


@pytest.mark.mongo
def test_errors_say_what_there_is(finished):
    with pytest.raises(UnknownCampaignError, match="quickstart"):
        campaign.open_campaign("another")
    with pytest.raises(AttributeError, match="the package campaign has no attribute 'open_campain'"):
        campaign.open_campain  # noqa: B018


@pytest.mark.keras
def test_a_file_and_its_complete_dos_are_predicted_the_same(tmp_path, loaded_once):
    from pymatgen.io.vasp import Vasprun

    file = ROOT / "tests" / "campaign" / "playback" / "AlCu" / "vasprun.xml.gz"
    bundle = esnet.open_bundle("gpaw-fast-binary")
    of_file, of_dos = esnet.predict(bundle, [file, Vasprun(file, parse_potcar_file=False).complete_dos])
    assert of_file.id == str(file)
    assert (of_dos.id, of_dos.novel) == ("AlCu", of_file.novel)
    assert of_dos.e_form == pytest.approx(of_file.e_form, abs=1e-4)
    assert 0.0 < of_file.uncertainty < 1.0
    # with a file that is none, and one of another engine than the model was trained on
    text = gzip.decompress(file.read_bytes())
    of_vasp, wrong = tmp_path / "vasprun.xml", tmp_path / "OUTCAR"
    of_vasp.write_bytes(re.sub(rb"6\.\d\.\d-gpaw-[\d.]+", b"6.4.3", text))
    wrong.write_text("hello")
    words = ["predict", "gpaw-fast-binary", *map(str, (file, wrong, of_vasp)), "--format", "json"]
    done = CliRunner().invoke(esnet_app, words)
    row, failed, other = json.loads(done.stdout)
    assert done.exit_code == 1
    assert row["e_form"] == pytest.approx(of_file.e_form, abs=1e-5)
    assert (row["file"], row["novel"], row["reason"]) == (str(file), of_file.novel, None)
    assert (failed["file"], failed["e_form"]) == (str(wrong), None)
    assert other["e_form"] == pytest.approx(row["e_form"], abs=1e-4)
    notes = [line for line in done.stderr.splitlines() if line.startswith("note: ")]
    assert [f"{of_vasp}: computed by vasp, but gpaw-fast-binary was trained on gpaw" in line for line in notes] == [
        True
    ]
    with pytest.raises(UserError, match=r"sources\[1\] is int; right: the path of a vasprun\.xml"):
        esnet.predict(bundle, [file, 3])


# ---- the docstrings, which docs/reference/python.md is made of

#: The modules of the public names, by what their examples need.
MODULES = {
    "nothing": (
        *("campaign.hull.hull", "campaign.metrics.metrics", "campaign.replay.read", "campaign.replay.data"),
        *("campaign.replay.candidate", "campaign.replay.comparison", "campaign.replay.result"),
        *("esnet.dataset.dataset", "esnet.representation.grid_dos", "esnet.scoring.prediction"),
        "esnet.bundle.assessor",
    ),
    "networks": ("esnet.api", "esnet.bundle.bundle"),
    "a campaign": ("campaign.api",),
}
#: Returned by a method and described where it is: no page of their own.
DESCRIBED_WHERE_RETURNED = {"Spread", "PredictionError", "Samples"}


@pytest.fixture
def documented(tmp_path, monkeypatch):
    """The folder that the examples are run in: examples/, dataset/ and vasprun.xml."""
    packed = ROOT / "docs" / "notebooks" / "AlPd-B2.vasprun.xml.gz"
    (tmp_path / "vasprun.xml").write_bytes(gzip.decompress(packed.read_bytes()))
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    (tmp_path / "dataset").symlink_to(ROOT / "tests" / "old_formats" / "dataset")
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("module", MODULES["nothing"])
def test_the_examples_of_what_needs_no_service_are_true(module, documented):
    assert_examples_are_true(module)


@pytest.mark.keras
def test_the_examples_of_what_predicts_are_true(documented, loaded_once):
    for module in MODULES["networks"]:
        assert_examples_are_true(module)


@pytest.mark.mongo
@pytest.mark.keras
def test_the_examples_of_a_campaign_are_true(finished, loaded_once):
    for module in MODULES["a campaign"]:
        assert_examples_are_true(module)


def assert_examples_are_true(module):
    options = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS
    found = doctest.testmod(importlib.import_module(module), optionflags=options)
    assert found.attempted >= 2
    assert found.failed == 0


def public_objects():
    """Every public name, and every method and property of the public classes, with the words that name it."""
    for package in (campaign, esnet):
        for name in package.__all__:
            found = getattr(package, name)
            yield f"{package.__name__}.{name}", found
            if isinstance(found, type):
                for member, value in public_members(found).items():
                    yield f"{package.__name__}.{name}.{member}", value


PUBLIC = dict(public_objects())


@pytest.mark.parametrize("name", PUBLIC)
def test_every_public_name_says_what_it_takes_and_gives(name):
    assert not problems_of(PUBLIC[name])


def problems_of(found) -> list[str]:
    """What a docstring of the API page lacks."""
    if isinstance(found, classmethod):
        found = found.__func__
    text = inspect.getdoc(found) or ""
    sections = dict(re.findall(r"^(\w+)\n-{3,}\n(.*?)(?=^\w+\n-{3,}$|\Z)", text, flags=re.MULTILINE | re.DOTALL))
    problems = [] if len(text) > 20 else ["no docstring"]
    if isinstance(found, property | cached_property):
        return problems  # one sentence with its shape and unit
    if ">>> import" not in sections.get("Examples", ""):
        problems.append("Examples: no example")
    if isinstance(found, type):
        wanted, section = (field.name for field in dataclasses.fields(found)) if is_data(found) else (), "Attributes"
        wanted = [name for name in wanted if not name.startswith("_")]
    else:
        signature = inspect.signature(found)
        wanted, section = [name for name in signature.parameters if name not in ("self", "cls")], "Parameters"
        gives = str(signature.return_annotation) != "None" and not {"Returns", "Yields"} & sections.keys()
        problems += ["Returns: missing"] if gives else []
        # what takes nothing and gives a number or a table has nothing that can be wrong
        problems += ["Raises: missing"] if wanted and "Raises" not in sections and not is_total(found) else []
    named = set(re.findall(r"\w+", " ".join(re.findall(r"^\S.*", sections.get(section, ""), flags=re.MULTILINE))))
    return problems + [f"{section}: {name} is not described" for name in wanted if name not in named]


def is_data(found) -> bool:
    return dataclasses.is_dataclass(found)


def is_total(found) -> bool:
    """Functions for which no argument of the right type is wrong."""
    total = ("CampaignResults.results", "KnownCandidate.is_stable", "Replay.stable_at", "Replay.cpu_hours_to")
    return found.__qualname__ in total


def test_what_a_public_name_returns_is_public_too():
    """Every class of ours that a function or a method gives has its place on the page."""
    names = {name for package in (campaign, esnet) for name in package.__all__}
    returned = set()
    for found in PUBLIC.values():
        function = found.__func__ if isinstance(found, classmethod) else found
        if inspect.isfunction(function):
            returned |= set(re.findall(r"\b[A-Z]\w+", str(inspect.signature(function).return_annotation)))
    ours = {
        name for name in returned if any(hasattr(importlib.import_module(module), name) for module in every_module())
    }
    foreign = {"Self", "Any", "Mapping", "Sequence", "Iterator", "NDArray", "Structure", "ComputedEntry", "None"}
    assert ours - foreign - DESCRIBED_WHERE_RETURNED <= names
    assert {getattr(package, name).__module__ for package in (campaign, esnet) for name in package.__all__} == set(
        every_module()
    )


def every_module() -> list[str]:
    return [module for several in MODULES.values() for module in several]


COMPLETE = """Do something with a limit.

Parameters
----------
limit
    eV/atom.

Returns
-------
float
    eV/atom.

Raises
------
ValueError
    It is none.

Examples
--------
>>> import esnet
"""


@pytest.mark.parametrize(
    ("left_out", "problem"),
    [
        ("limit\n", "Parameters: limit is not described"),
        ("Returns\n-------\n", "Returns: missing"),
        ("Raises\n------\n", "Raises: missing"),
        (">>> import esnet", "Examples: no example"),
    ],
)
def test_a_docstring_that_lacks_something_is_found(left_out, problem):
    def sample(limit: float) -> float:
        return limit

    sample.__doc__ = COMPLETE
    assert not problems_of(sample)
    assert left_out in COMPLETE
    sample.__doc__ = COMPLETE.replace(left_out, "")
    assert problem in problems_of(sample)


def test_importing_both_packages_loads_nothing_of_them():
    ours = "sorted(name for name in sys.modules if name.startswith(('campaign', 'esnet')))"
    code = f"import sys, campaign, esnet; print({ours})"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "['campaign', 'esnet']"
