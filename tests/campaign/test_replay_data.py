"""Known data become the right candidates, and what cannot be used is named with its place."""

import csv
import gzip
import json
import math
import runpy
from pathlib import Path

import pytest
from pymatgen.core import Lattice, Structure
from pymatgen.entries.computed_entries import ComputedEntry
from typer.testing import CliRunner

from campaign.candidates.structure_text import StructureFileError
from campaign.cli.app import app
from campaign.commands.errors import is_user_error
from campaign.hull.hull import MissingElementError
from campaign.policies.probability import Probability
from campaign.policies.thresholds import Thresholds
from campaign.replay.comparison import compare
from campaign.replay.data import ReplayDataError
from campaign.replay.read import read_replay_data
from esnet.files.output_folder import OutputExistsError, OutputPlaceError

ROOT = Path(__file__).resolve().parents[2]
FULL = {
    "id": "a",
    "formula": "Al2Pd2",
    "e_form": -0.3,
    "e_hull": -0.05,
    "e_form_ml": -0.25,
    "e_hull_ml": 0.0,
    "uncertainty": 0.2,
    "dos_cpu_s": 50.0,
    "relax_cpu_s": 1000.0,
    "n_sites": 8,
}
LEAST = {"id": "a", "formula": "AlPd3", "e_form": -0.3, "e_form_ml": -0.25}


def as_csv(path, *rows):
    columns = list(dict.fromkeys(key for row in rows for key in row))
    with path.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, columns)
        writer.writeheader()
        writer.writerows(rows)
    return path


def as_jsonl(path, *rows):
    path.write_text("\n".join(json.dumps(row) for row in rows) + "\n")
    return path


def without(row, *names, **changes):
    return {key: value for key, value in row.items() if key not in names} | changes


@pytest.mark.parametrize("suffix", ["csv", "jsonl"])
def test_what_stands_in_the_columns_is_what_is_replayed(tmp_path, suffix):
    write = {"csv": as_csv, "jsonl": as_jsonl}[suffix]
    data = read_replay_data(write(tmp_path / f"known.{suffix}", FULL, FULL | {"id": "b"}))
    first, second = data.candidates
    assert (first.id, second.id) == ("a", "b")
    assert (first.e_form, first.e_hull, first.e_form_ml, first.e_hull_ml) == (-0.3, -0.05, -0.25, 0.0)
    assert (first.uncertainty, first.dos_cpu_s, first.relax_cpu_s) == (0.2, 50.0, 1000.0)
    assert (first.n_sites, first.n_electrons) == (8, 4 * (3 + 10))
    assert data.notes == ()


def test_what_has_no_column_is_the_papers_and_follows_from_the_formula(tmp_path):
    data = read_replay_data(as_csv(tmp_path / "known.csv", LEAST))
    (found,) = data.candidates
    assert (found.n_sites, found.n_electrons) == (4, 3 + 30)
    assert (found.dos_cpu_s, found.relax_cpu_s) == (108.506, 3107.0)
    assert found.uncertainty is None
    # against the elements alone
    assert (found.e_hull, found.e_hull_ml) == (-0.3, -0.25)
    assert any("relative to the elements only" in note for note in data.notes)
    assert any("no column relax_cpu_s: 3107" in note for note in data.notes)


def test_the_predicted_distance_is_to_the_hull_that_the_true_one_is_to(tmp_path):
    (found,) = read_replay_data(as_csv(tmp_path / "known.csv", without(FULL, "e_hull_ml"))).candidates
    assert found.e_hull_ml == pytest.approx(-0.25 + (-0.05 - -0.3))


@pytest.mark.parametrize("form", ["json", "jsonl", "json.gz"])
def test_hulls_are_those_of_the_reference_entries(tmp_path, form):
    entries = [ComputedEntry("Al", -4.0), ComputedEntry("Pd", -5.0), ComputedEntry("Al2Pd2", -19.6)]
    rows = [entry.as_dict() for entry in entries]
    text = "\n".join(json.dumps(row) for row in rows) if form == "jsonl" else json.dumps(rows)
    file = tmp_path / f"entries.{form}"
    file.write_bytes(gzip.compress(text.encode()) if form.endswith("gz") else text.encode())
    # AlPd lies 0.4 eV/atom below the elements, so the hull is at -0.2 for AlPd3
    (found,) = read_replay_data(as_csv(tmp_path / "known.csv", LEAST), references=file).candidates
    assert found.e_hull == pytest.approx(-0.3 + 0.2)
    assert found.e_hull_ml == pytest.approx(-0.25 + 0.2)


def test_references_that_lack_an_element_or_cannot_be_read_are_refused(tmp_path):
    known = as_csv(tmp_path / "known.csv", LEAST)
    file = tmp_path / "entries.json"
    for content, message in [
        ("[]", "holds no entries"),
        ("[{}]", "entry 1"),
        ('[{"energy": NaN, "composition": {"Al": 1}}]', "entry 1"),
        ("{not json", "JSON"),
    ]:
        file.write_text(content)
        with pytest.raises(ReplayDataError, match=message):
            read_replay_data(known, references=file)
    file.write_text(json.dumps([ComputedEntry("Al", -4.0).as_dict()]))
    with pytest.raises(MissingElementError, match="Pd"):
        read_replay_data(known, references=file)
    with pytest.raises(ReplayDataError, match="leave one of them out"):
        read_replay_data(as_csv(tmp_path / "full.csv", FULL), references=file)


def test_structures_give_what_has_no_column(tmp_path):
    folder = tmp_path / "cifs"
    folder.mkdir()
    Structure(Lattice.cubic(3.0), ["Al", "Pd"], [[0, 0, 0], [0.5, 0.5, 0.5]]).to(str(folder / "a.cif"))
    rows = without(LEAST, "formula"), without(LEAST, "formula", id="b")
    (found,) = read_replay_data(as_csv(tmp_path / "one.csv", rows[0]), structures=folder).candidates
    assert (found.n_sites, found.n_electrons) == (2, 13)
    with pytest.raises(ReplayDataError, match=r"line 3 \(b\): formula: found nothing; .*--structures"):
        read_replay_data(as_csv(tmp_path / "two.csv", *rows), structures=folder)
    (folder / "b.cif").write_text("no crystal")
    with pytest.raises(ReplayDataError, match=r"line 3: .*b\.cif: does not parse as CIF"):
        read_replay_data(tmp_path / "two.csv", structures=folder)
    with pytest.raises(StructureFileError, match="does not exist"):
        read_replay_data(tmp_path / "two.csv", structures=tmp_path / "none")


def test_an_empty_prediction_is_none_and_an_empty_uncertainty_unknown(tmp_path):
    row = FULL | {"e_form_ml": "", "e_hull_ml": "", "uncertainty": ""}
    (found,) = read_replay_data(as_csv(tmp_path / "known.csv", row)).candidates
    assert math.isnan(found.e_form_ml)
    assert math.isnan(found.e_hull_ml)
    assert found.uncertainty is None


def test_a_failed_relaxation_needs_no_energies_but_a_hull(tmp_path):
    failed = FULL | {"id": "b", "e_form": "", "e_hull": "", "relaxation_failed": "true"}
    _, found = read_replay_data(
        as_csv(tmp_path / "known.csv", FULL | {"relaxation_failed": "false"}, failed)
    ).candidates
    assert found.relaxation_failed
    assert found.e_hull_ml == 0.0
    with pytest.raises(ReplayDataError, match=r"line 3 \(b\): e_hull_ml: found nothing"):
        read_replay_data(as_csv(tmp_path / "known.csv", FULL, failed | {"e_hull_ml": ""}))


def test_comments_blank_lines_and_a_byte_order_mark_are_passed_over(tmp_path):
    file = tmp_path / "known.csv"
    file.write_text("\ufeff# made up\n\nid,formula,e_form,e_form_ml\n# one\na,AlPd,-0.1,x\n")
    with pytest.raises(ReplayDataError, match=r"line 5 \(a\): e_form_ml: found 'x'"):
        read_replay_data(file)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"e_form": "nan"}, r"line 3 \(b\): e_form: found 'nan'; right: a number between -20 and 20"),
        ({"e_form": ""}, r"line 3 \(b\): e_form: found nothing"),
        ({"e_form": "-1e3"}, r"line 3 \(b\): e_form: found '-1e3'"),
        ({"e_form_ml": "inf"}, r"line 3 \(b\): e_form_ml: found 'inf'"),
        ({"e_hull": ""}, r"line 3 \(b\): e_hull: found nothing; right: a number in every row"),
        ({"uncertainty": "0"}, r"line 3 \(b\): uncertainty: found '0'; right: a number above 0"),
        ({"relax_cpu_s": "-1"}, r"line 3 \(b\): relax_cpu_s: found '-1'"),
        ({"n_sites": "2.5"}, r"line 3 \(b\): n_sites: found '2.5'; right: a whole number"),
        ({"n_sites": "0"}, r"line 3 \(b\): n_sites: found '0'"),
        ({"formula": "AlQq"}, r"line 3 \(b\): formula: found 'AlQq'; right: a formula of elements"),
        ({"formula": "Al0"}, r"line 3 \(b\): formula: found 'Al0'"),
        ({"formula": "X2"}, r"line 3 \(b\): formula: found 'X2'"),
        ({"formula": ""}, r"line 3 \(b\): formula: found nothing"),
        ({"id": "a"}, r"line 3: id: found 'a', as in line 2; right: all different"),
        ({"id": ""}, r"line 3: id: found nothing"),
    ],
)
def test_a_wrong_cell_is_named_by_line_column_value_and_remedy(tmp_path, changes, message):
    file = as_csv(tmp_path / "known.csv", FULL, FULL | {"id": "b"} | changes)
    with pytest.raises(ReplayDataError, match=message) as found:
        read_replay_data(file)
    assert str(file) in str(found.value)
    assert is_user_error(found.value)


def test_everything_wrong_is_said_at_once(tmp_path):
    file = as_csv(tmp_path / "known.csv", FULL | {"e_form": "x", "n_sites": "y"}, FULL | {"id": "b", "formula": "Zz"})
    with pytest.raises(ReplayDataError, match="3 problems"):
        read_replay_data(file)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "has no row"),
        ("id,formula,e_form,e_form_ml\n", "has no row"),
        ("id;formula;e_form\na;AlPd;1\n", "column id is missing .*found columns: id;formula;e_form"),
        ("id,formula,e_form\na,AlPd,1\n", "column e_form_ml is missing"),
        ("id,e_form,e_form_ml\na,1,1\n", "no column formula or composition, and no --structures"),
        ("id,formula,e_form,e_form_ml,uncertainity\na,AlPd,1,1,1\n", "'uncertainity' is not known; did you mean"),
        ("id,formula,id,e_form\na,AlPd,a,1\n", "columns id are given twice"),
        ("id,formula,e_form,e_form_ml\na,AlPd,1\n", "line 2: found 3 cells; right: 4"),
        ('id,formula,e_form,e_form_ml\n"a,AlPd,1,1\n', "not CSV"),
    ],
)
def test_a_file_that_is_no_table_is_refused(tmp_path, text, message):
    file = tmp_path / "known.csv"
    file.write_text(text)
    with pytest.raises(ReplayDataError, match=message):
        read_replay_data(file)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{}\n{\n", "line 2: not JSON"),
        ("\n[1]\n", r"line 2: found \[1\]"),
        ('{"id": "a"}\n', "column e_form is missing"),
    ],
)
def test_a_file_that_is_not_jsonl_is_refused(tmp_path, text, message):
    file = tmp_path / "known.jsonl"
    file.write_text(text)
    with pytest.raises(ReplayDataError, match=message):
        read_replay_data(file)


def test_in_jsonl_a_composition_may_be_an_object_and_numbers_are_no_flags(tmp_path):
    row = without(LEAST, "formula", composition={"Al": 1, "Pd": 3})
    (found,) = read_replay_data(as_jsonl(tmp_path / "known.jsonl", row)).candidates
    assert found.n_sites == 4
    with pytest.raises(ReplayDataError, match="e_form: found True"):
        read_replay_data(as_jsonl(tmp_path / "known.jsonl", row | {"e_form": True}))
    with pytest.raises(ReplayDataError, match=r"composition: found \{'Al': -1\}"):
        read_replay_data(as_jsonl(tmp_path / "known.jsonl", row | {"composition": {"Al": -1}}))


def test_options_of_another_kind_of_data_are_refused(tmp_path):
    file = as_csv(tmp_path / "known.csv", FULL)
    with pytest.raises(ReplayDataError, match="--model is for the directory of a data set"):
        read_replay_data(file, model="some")
    with pytest.raises(ReplayDataError, match="right: --model BUNDLE"):
        read_replay_data(tmp_path)
    with pytest.raises(ReplayDataError, match="does not exist"):
        read_replay_data(tmp_path / "none.csv")


# ---- the command


def call(*words):
    return CliRunner().invoke(app, ["replay", *map(str, words)], catch_exceptions=False)


def test_the_example_is_replayed_and_written_as_a_whole(tmp_path):
    example = ROOT / "examples" / "replay.csv"
    out = tmp_path / "out"
    done = call(
        example, "--policy", "thresholds", "--policy", "budget:cpu_hours=12,audit=0.05", "--seeds", 2, "--output", out
    )
    assert done.exit_code == 0
    assert "60 candidates, 18 of them stable" in done.output
    assert sorted(file.name for file in out.iterdir()) == [
        "curves.csv",
        "curves.png",
        "curves.svg",
        "summary.json",
        "totals.csv",
    ]
    with (out / "totals.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert [row["policy"] for row in rows[::2]] == ["thresholds", "budget:cpu_hours=12,audit=0.05", "random", "oracle"]
    summary = json.loads((out / "summary.json").read_text())
    assert summary["settings"]["seeds"] == [1, 2]
    found = summary["policies"]["thresholds"]
    assert found["settings"]["max_hull_energy"] == 0.13
    assert found["random_at_same_cost"]["mean"] < found["seeds"][0]["stable"] <= found["oracle_at_same_cost"]["mean"]
    with pytest.raises(OutputExistsError):
        call(example, "--output", out)
    with pytest.raises(OutputPlaceError, match=r"summary\.json is not a folder"):
        call(example, "--output", out / "summary.json" / "replay")


def test_the_json_is_what_the_file_says(tmp_path):
    words = [as_csv(tmp_path / "known.csv", FULL, FULL | {"id": "b", "e_hull": 3.0}), "--json"]
    found = json.loads(call(*words).stdout)
    assert found["policies"]["thresholds"]["seeds"][0]["n_stable"] == 1
    wider = json.loads(call(*words, "--stable-e-hull", 5.0).stdout)
    assert wider["policies"]["thresholds"]["seeds"][0]["n_stable"] == 2


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["examples/replay.csv", "--campaign", "x"],
        ["examples/replay.csv", "--policy", "thresholds", "--policy", "thresholds"],
        ["--campaign", "x", "--model", "y"],
        ["examples/replay.csv", "--cpu-hours", "nan"],
        ["examples/replay.csv", "--stable-e-hull", "nan"],
    ],
)
def test_options_that_contradict_each_other_are_refused(words, monkeypatch):
    monkeypatch.chdir(ROOT)
    assert call(*words).exit_code == 2


def test_the_example_is_made_by_its_script(capsys):
    """Its form; the numbers follow numpy's random stream, which another version may change."""
    runpy.run_path(str(ROOT / "examples" / "make_replay.py"), run_name="__main__")
    made, kept = capsys.readouterr().out.splitlines(), (ROOT / "examples" / "replay.csv").read_text().splitlines()
    assert made[:3] == kept[:3]
    assert [line.split(",")[:2] for line in made] == [line.split(",")[:2] for line in kept]


def test_a_policy_that_needs_uncertainties_is_refused_where_there_are_none(tmp_path):
    without_any, some = without(FULL, "uncertainty"), [FULL, without(FULL, "uncertainty", id="b")]
    data = read_replay_data(as_csv(tmp_path / "a.csv", without_any))
    with pytest.raises(ReplayDataError) as caught:
        compare(data, {"sure": Probability(), "plain": Thresholds()})
    [problem] = caught.value.problems
    assert problem.startswith("nothing gives an uncertainty here, so the policy probability would reject everything")
    assert "a column uncertainty" in problem
    assert "probability:uncertainty=0.3" in problem
    compare(data, {"assumed": Probability(uncertainty=0.3)})
    compare(read_replay_data(as_csv(tmp_path / "b.csv", *some)), {"sure": Probability()})


def test_the_error_of_the_predictions_is_told(tmp_path):
    rows = [
        LEAST,
        LEAST | {"id": "b", "e_form_ml": -0.5},
        without(LEAST, "e_form_ml", id="c"),
        without(LEAST, "e_form", id="d", relaxation_failed="true"),
    ]
    file = as_jsonl(tmp_path / "known.jsonl", *rows)
    printed = CliRunner().invoke(app, ["replay", str(file)]).output
    assert "e_form_ml against e_form: MAE 0.125 eV/atom on 2 candidates" in printed
    told = json.loads(CliRunner().invoke(app, ["replay", str(file), "--json"]).output)
    assert told["prediction_error"] == {"mae": pytest.approx(0.125), "n": 2}


def test_rows_that_are_named_are_left_out_and_counted(tmp_path):
    rows = [LEAST, LEAST | {"id": "b", "e_form": -52.0}, LEAST | {"id": "c", "e_form_ml": 1e6}, LEAST | {"id": "d"}]
    file = as_csv(tmp_path / "known.csv", *rows)
    with pytest.raises(ReplayDataError, match="2 problems"):
        read_replay_data(file)
    data = read_replay_data(file, leave_out=["unphysical"])
    assert [found.id for found in data.candidates] == ["a", "d"]
    assert "2 rows left out: b (line 3, e_form -52.0), c (line 4, e_form_ml 1000000.0)" in data.notes
    data = read_replay_data(file, leave_out=["d", "b", "c"])
    assert [found.id for found in data.candidates] == ["a"]
    done = CliRunner().invoke(app, ["replay", str(file), "--leave-out", "unphysical"])
    assert "note: 2 rows left out: b (line 3" in done.output


@pytest.mark.parametrize(
    ("leave_out", "expected"),
    [(["e"], "--leave-out e: there is no row with that id"), (["a"], "--leave-out leaves no row")],
)
def test_rows_that_are_not_there_cannot_be_left_out(tmp_path, leave_out, expected):
    with pytest.raises(ReplayDataError, match=expected):
        read_replay_data(as_csv(tmp_path / "known.csv", LEAST), leave_out=leave_out)


def test_what_is_no_number_is_not_left_out_as_unphysical(tmp_path):
    file = as_csv(tmp_path / "known.csv", LEAST, LEAST | {"id": "b", "e_form": "low"})
    with pytest.raises(ReplayDataError, match="found 'low'"):
        read_replay_data(file, leave_out=["unphysical"])
