"""`campaign check` says how many candidates are unlike what the model was trained on, and what it cannot compare."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from pymatgen.core import Lattice, Structure
from small_campaign import SMALL

from campaign.spec.reader import read_firework_spec
from campaign.views.preview import format_preview
from esnet.bundle.files import ASSESSMENT, ASSESSMENT_ARRAYS, _with_checksums
from esnet.bundle.fingerprints import COMPOSITIONS, composition_fingerprints
from esnet.bundle.shipped import bundle_folder
from esnet.files.atomic import file_entry

SHIPPED = "gpaw-fast-binary"
TRAINED_ON = [{"Al": 2.0, "Cu": 2.0}, {"Al": 0.25, "Cu": 0.75}]


def preview(elements: list[str], bundle: Path | str = SHIPPED, **candidates: object) -> list[str]:
    """What is said of the model, for a campaign with these candidates."""
    sections = {**SMALL, "candidates": {**candidates, "elements": elements}, "model": {"bundle": str(bundle)}}
    lines = format_preview(read_firework_spec({"campaign": sections}, name="x"))
    return [line for line in lines if "model" in line]


@pytest.fixture
def bundle(tmp_path) -> Path:
    """The shipped one, had it been trained on two compositions of two elements, and said so."""
    folder = tmp_path / "bundle"
    shutil.copytree(bundle_folder(SHIPPED), folder)
    said = json.loads((folder / ASSESSMENT).read_text())
    (folder / ASSESSMENT).write_text(json.dumps(said | {"numbers_of_elements": {"2": 40}}))
    with np.load(folder / ASSESSMENT_ARRAYS) as stored:
        arrays = dict(stored)
    np.savez(folder / ASSESSMENT_ARRAYS, **arrays, **{COMPOSITIONS: composition_fingerprints(TRAINED_ON)})
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["files"] |= {name: file_entry(folder / name) for name in (ASSESSMENT, ASSESSMENT_ARRAYS)}
    (folder / "manifest.json").write_text(json.dumps(_with_checksums(manifest)))
    return folder


@pytest.mark.parametrize(
    ("sections", "first", "never"),
    [
        (
            {"recalibrate_every": 100},
            "when 100 screened",
            "100 relaxed and one that waits are needed, but the number screened is only 12",
        ),
        ({"recalibrate_every": 4, "limit": 5}, "when 12 screened", "12 relaxed and one that waits are needed"),
        ({"recalibrate_every": 10, "limit": 5}, "at least 10 relaxed candidates", "budget.relaxations is 5"),
        ({"recalibrate_every": 10}, "when 10 screened", "all candidates are decided on in one batch"),
        ({"recalibrate_every": 10, "limit": 10}, "when 10 screened", None),
        (
            {"recalibrate_every": 5, "batch_size": 11},
            "when 10 screened candidates are relaxed, then after every 5",
            None,
        ),
        ({"retrain_every": 100}, "retrained first when 100 screened", "100 relaxed and one that waits are needed"),
        ({"retrain_every": 1, "limit": 3}, "retrained first when 1 screened candidate has", None),
        ({}, None, None),
    ],
)
def test_when_a_campaign_first_learns_is_said_or_that_it_cannot(sections, first, never):
    screening = {name: value for name, value in sections.items() if name != "limit"}
    candidates = {"prototypes": ["B2", "B1"], "elements": ["Al", "Cu", "Ag", "Au"]}
    limits = {"budget": {"relaxations": sections["limit"]}} if "limit" in sections else {}
    changes = {"candidates": candidates, "model": {"bundle": SHIPPED}, "screening": screening, **limits}
    lines = list(format_preview(read_firework_spec({"campaign": changes}, name="learns")))
    said = [line for line in lines if "trained first" in line or "calibrated first" in line]
    notes = [line for line in lines if "has no effect" in line]
    assert len(said) == (first is not None)
    assert all(first in line for line in said)
    assert len(notes) == (never is not None)
    assert all(never in line for line in notes)


def test_elements_that_the_model_has_never_seen_are_named():
    said = preview(["Al", "Fe", "Cu"], prototypes=["B2", "L1_2"])
    assert "6 of 9 candidates are unlike the model's training data (with Fe)" in said[0]
    assert "policy.novel: ignore determines" in said[0]


def test_how_wrong_the_model_is_stands_beside_it():
    said = preview(["Al", "Cu"], prototypes=["B2"])[-1]
    assert "(gpaw-fast-binary), trained on 100 materials; each of its 5 networks has" in said
    assert "a mean absolute error of 0.301 eV/atom on 14 test samples" in said


def test_what_an_earlier_bundle_does_not_say_is_said():
    said = preview(["Al", "Cu"], prototypes=["B2"])
    assert said[0] == (
        "note: the model does not state which numbers of elements and compositions it was trained on, so these are not "
        "compared"
    )
    assert "unlike" not in " ".join(said)


def test_compositions_that_the_model_was_not_trained_on_are_counted(bundle):
    # AlCu and AlCu3 are known, Al3Cu is not
    said = preview(["Al", "Cu"], bundle, prototypes=["B2", "B1", "L1_2"])
    assert said[0].startswith("1 of 4 candidates have a composition that the model was not trained on")
    assert not any("does not state" in line or "unlike" in line for line in said)
    assert "have a composition" not in preview(["Al", "Cu"], bundle, prototypes=["B2", "B1"])[0]


def test_a_number_of_elements_that_the_model_was_not_trained_on_is_named(tmp_path, bundle):
    half_heusler = Structure.from_spacegroup(
        "F-43m", Lattice.cubic(6.0), ["Al", "Cu", "Ag"], [[0, 0, 0], [0.25] * 3, [0.5] * 3]
    )
    (tmp_path / "protos").mkdir()
    half_heusler.to(tmp_path / "protos" / "C1_b.cif")
    said = preview(["Al", "Cu", "Ag"], bundle, structures=str(tmp_path / "protos"))
    assert any("3 of 3 candidates are unlike the model's training data (of 3 elements)" in line for line in said)
