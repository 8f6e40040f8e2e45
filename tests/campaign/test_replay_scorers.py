"""Replays of tables with several scorers: prices, cascades, corrections, and C_eff against the oracle's."""

import csv
import json
import math
import runpy
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_replay import POLICIES, candidates, population
from typer.testing import CliRunner

from campaign.cli.app import app
from campaign.metrics.metrics import Costs, screening_metrics
from campaign.policies.base import Prediction
from campaign.policies.expected_yield import ExpectedYield
from campaign.policies.probability import Probability
from campaign.policies.thresholds import Thresholds
from campaign.recalibration.fit import Sample
from campaign.recalibration.trial import fit_correction
from campaign.replay.cascade import cascade, with_cascade
from campaign.replay.comparison import compare
from campaign.replay.data import ReplayData, ReplayDataError
from campaign.replay.read import read_replay_data
from campaign.replay.simulate import replay, replay_limit
from campaign.spec.sections.stable import StableSection

ROOT = Path(__file__).resolve().parents[2]
TRUTH = {"formula": "AlPd", "e_form": -0.3, "e_hull": 0.0, "dos_cpu_s": 50.0, "relax_cpu_s": 1000.0}
#: CHGNet is sure that b is far above the hull, and ESNet is not.
TWO = [
    TRUTH | {"id": "a", "e_form_ml:CHGNet": -0.2, "uncertainty:CHGNet": 0.05, "scorer_cpu_s:CHGNet": 2.0,
             "e_form_ml:ESNet": -0.1, "uncertainty:ESNet": 0.2},
    TRUTH | {"id": "b", "e_form": 0.5, "e_hull": 0.8, "e_form_ml:CHGNet": 0.6, "uncertainty:CHGNet": 0.05,
             "scorer_cpu_s:CHGNet": 2.0, "e_form_ml:ESNet": -0.05, "uncertainty:ESNet": 0.2},
]  # fmt: skip


def table(path, rows):
    columns = list(dict.fromkeys(key for row in rows for key in row))
    with path.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, columns)
        writer.writeheader()
        writer.writerows(rows)
    return path


def call(*words):
    return CliRunner().invoke(app, ["replay", *map(str, words)], catch_exceptions=False)


def test_each_scorer_predicts_the_same_candidates_and_has_its_own_price(tmp_path):
    data = read_replay_data(table(tmp_path / "two.csv", TWO))
    assert list(data.scorers) == ["CHGNet", "ESNet"]
    chgnet, esnet = data.scorers.values()
    assert data.candidates == chgnet
    assert [(found.id, found.e_form_ml, found.uncertainty, found.dos_cpu_s) for found in chgnet] == [
        ("a", -0.2, 0.05, 2.0),
        ("b", 0.6, 0.05, 2.0),
    ]
    # ESNet's is that of the IS-DOS
    assert [(found.e_form_ml, found.dos_cpu_s) for found in esnet] == [(-0.1, 50.0), (-0.05, 50.0)]
    # against the hull that the true one is to
    assert [found.e_hull_ml for found in esnet] == pytest.approx([0.2, 0.25])
    assert any("scorer_cpu_s:ESNet" in note for note in data.notes)
    found = compare(data, ["probability"])
    assert list(found.policies) == ["CHGNet: probability", "ESNet: probability"]
    assert found.policies["CHGNet: probability"][0].dos_cpu_hours == pytest.approx(4.0 / 3600)
    assert found.policies["ESNet: probability"][0].dos_cpu_hours == pytest.approx(100.0 / 3600)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"uncertainty": 0.2}, "column 'uncertainty' names no scorer"),
        ({"uncertainty:MEGNet": 0.2}, "no column e_form_ml:MEGNet; right: uncertainty:CHGNet or uncertainty:ESNet"),
        ({"uncertainti:CHGNet": 0.2}, "did you mean"),
        ({"scorer_cpu_s:CHGNet": ""}, "scorer_cpu_s:CHGNet: found nothing; right: a number of CPU-s"),
        ({"scorer_cpu_s:CHGNet": -1}, "scorer_cpu_s:CHGNet: found '-1'"),
        ({"e_form_ml:ESNet": 25.0}, "e_form_ml:ESNet: found '25.0'"),
    ],
)
def test_what_is_wrong_with_a_scorers_column_is_named(tmp_path, change, message):
    rows = [{key: value for key, value in {**row, **change}.items() if key != "uncertainty:CHGNet"} for row in TWO]
    with pytest.raises(ReplayDataError, match=message):
        read_replay_data(table(tmp_path / "two.csv", rows))


def test_an_energy_that_no_crystal_can_have_is_left_out_whichever_scorer_says_it(tmp_path):
    path = table(tmp_path / "two.csv", [TWO[0], TWO[1] | {"e_form_ml:ESNet": 25.0}])
    assert [found.id for found in read_replay_data(path, leave_out=["unphysical"]).candidates] == ["a"]


def test_a_policy_that_needs_uncertainties_names_the_scorer_that_gives_none(tmp_path):
    rows = [{key: value for key, value in row.items() if key != "uncertainty:ESNet"} for row in TWO]
    data = read_replay_data(table(tmp_path / "two.csv", rows))
    with pytest.raises(ReplayDataError, match=r"ESNet: nothing gives .* a column uncertainty:ESNet") as wrong:
        compare(data, ["expected_yield"])
    assert len(wrong.value.problems) == 1


def test_a_table_that_names_no_scorer_is_replayed_as_it_always_was():
    data = read_replay_data(ROOT / "examples" / "replay.csv")
    policies = ["thresholds", "probability:p=0.3", "best_first:cpu_hours=12,audit=0.05"]
    found = compare(data, policies, seeds=[1, 2], batch_size=20)
    assert {
        label: [(each.relaxations, each.total_stable, round(each.total_cpu_hours, 4)) for each in replays]
        for label, replays in found.every().items()
    } == {
        "thresholds": [(18, 13, 30.0651)] * 2,
        "probability:p=0.3": [(23, 17, 36.3789)] * 2,
        "best_first:cpu_hours=12,audit=0.05": [(9, 8, 13.0476)] * 2,
        "random": [(60, 18, 75.4697)] * 2,
        "oracle": [(60, 18, 75.4697)] * 2,
    }


def test_naming_the_only_scorer_changes_no_number(tmp_path):
    lines = (ROOT / "examples" / "replay.csv").read_text()
    named = tmp_path / "named.csv"
    named.write_text(lines.replace("e_form_ml,uncertainty", "e_form_ml:ESNet,uncertainty:ESNet"))
    plain = compare(read_replay_data(ROOT / "examples" / "replay.csv"), ["probability:p=0.3"], seeds=[1, 2])
    same = compare(read_replay_data(named), ["probability:p=0.3"], seeds=[1, 2])
    first, second = plain.policies["probability:p=0.3"], same.policies["ESNet: probability:p=0.3"]
    assert [each.totals() | {"policy": ""} for each in first] == [each.totals() | {"policy": ""} for each in second]
    assert same.described["ESNet: probability:p=0.3"]["scorer"] == "ESNet"


@given(
    known=candidates,
    policy=st.sampled_from([*POLICIES, ExpectedYield(uncertainty=0.2, explore=0.3, min_yield=1.0)]),
    batch_size=st.integers(1, 15),
    seed=st.integers(1, 5),
)
@settings(max_examples=100, deadline=None)
def test_no_policy_beats_the_oracle_in_c_eff_at_the_same_recall(known, policy, batch_size, seed):
    data = ReplayData(candidates=tuple(known), source="made up")
    found = compare(data, {"policy": policy}, batch_size=batch_size, seeds=[seed]) if has(known, policy) else None
    for label in () if found is None else found.every():
        ratio = found.c_eff_over_oracle(label)
        assert ratio is None or ratio.least >= 1.0 - 1e-9
        assert ratio is None or label != "oracle" or ratio.mean == pytest.approx(1.0)


def has(known, policy):
    return not policy.needs_uncertainty() or any(each.uncertainty is not None for each in known)


def test_c_eff_is_the_papers_where_nothing_is_audited():
    known = population(300, seed=4)
    found = replay(Thresholds(), known)
    relaxed = [each for each in known if Thresholds().verdict(as_prediction(each)).promising]
    costs = Costs(
        c_pre=sum(each.dos_cpu_s for each in known) / len(known),
        c_opt=sum(each.relax_cpu_s for each in relaxed) / len(relaxed),
    )
    ids = {each.id for each in relaxed}
    metrics = screening_metrics(
        [each.id in ids for each in known], [each.is_stable(StableSection()) for each in known], costs=costs
    )
    assert found.c_eff_cpu_s == pytest.approx(metrics.c_eff)
    assert found.recall == pytest.approx(metrics.discoverability)
    oracle = replay_limit("oracle", known)
    assert oracle.recall == 1.0
    assert oracle.counted_cpu_hours < oracle.total_cpu_hours
    assert oracle.cpu_hours_to(oracle.n_stable + 1) is None


def as_prediction(known):
    return Prediction(id=known.id, e_form=known.e_form_ml, e_hull=known.e_hull_ml)


def test_in_a_cascade_the_dear_scorer_is_paid_for_only_where_the_cheap_one_leaves_hope(tmp_path):
    data = read_replay_data(table(tmp_path / "two.csv", TWO))
    first, second = cascade(*data.scorers.values())
    assert (first.e_form_ml, first.uncertainty, first.dos_cpu_s) == (-0.1, 0.2, 52.0)
    assert (second.dos_cpu_s, second.uncertainty) == (2.0, None)
    promoted = replay(Probability(p=0.01), (first, second))
    assert (promoted.promoted, promoted.rejected, promoted.total_stable) == (1, 1, 1)
    # as the section prefilter of a campaign file: E_hull alone counts, 0.1 eV/atom by default
    far = [replace(each, e_form_ml=0.6, e_hull_ml=0.19) for each in data.scorers["CHGNet"]]
    assert {each.dos_cpu_s for each in cascade(far, data.scorers["ESNet"])} == {52.0}
    assert {each.dos_cpu_s for each in cascade(far, data.scorers["ESNet"], max_hull_energy=0.08)} == {2.0}
    assert {each.dos_cpu_s for each in cascade([replace(each, e_hull_ml=0.21) for each in far], far)} == {2.0}
    # within its error, or without any, everything goes on
    assert {each.dos_cpu_s for each in cascade(*data.scorers.values(), z=20.0)} == {52.0}
    unsure = [replace(each, uncertainty=None) for each in data.scorers["CHGNet"]]
    assert {each.dos_cpu_s for each in cascade(unsure, data.scorers["ESNet"])} == {52.0}
    assert cascade(unsure, data.scorers["ESNet"], uncertainty=0.05) == (first, second)
    # both together, as a campaign combines them: -0.2 within 0.05 and -0.1 within 0.2, errors correlated by 0.5
    both, _ = cascade(*data.scorers.values(), combine=True)
    assert (both.e_form_ml, both.uncertainty, both.dos_cpu_s) == (-0.2, 0.05, 52.0)
    less_sure = [replace(each, uncertainty=0.15) for each in data.scorers["CHGNet"]]
    both, _ = cascade(less_sure, data.scorers["ESNet"], z=20.0, combine=True)
    weight = (0.2**2 - 0.5 * 0.15 * 0.2) / (0.15**2 + 0.2**2 - 0.15 * 0.2)
    assert both.e_form_ml == pytest.approx(-0.2 * weight - 0.1 * (1.0 - weight))
    assert both.e_hull_ml - both.e_form_ml == pytest.approx(0.3)
    assert both.uncertainty < 0.15
    assert cascade(unsure, data.scorers["ESNet"], combine=True)[0].e_form_ml == -0.1
    with pytest.raises(ValueError, match="the same candidates"):
        cascade(data.scorers["CHGNet"], data.scorers["ESNet"][::-1])


def test_names_of_scorers_may_have_commas(tmp_path):
    named = [{**row, "e_form_ml:A, B": 0.1, "e_form_ml:A": 0.2} for row in TWO]
    data = read_replay_data(table(tmp_path / "two.csv", named))
    for text, name in (("A,A, B", "A>A, B"), ("A, B,A,combined", "A, B+A"), ("A,B ,ESNet", "A, B>ESNet")):
        assert name in with_cascade(data, text).scorers


@pytest.mark.parametrize("text", ["CHGNet", "CHGNet,MEGNet", "CHGNet,CHGNet", "CHGNet,ESNet,ESNet", "CHGNet,combined"])
def test_a_cascade_of_other_scorers_than_the_tables_is_refused(tmp_path, text):
    data = read_replay_data(table(tmp_path / "two.csv", TWO))
    with pytest.raises(ReplayDataError, match="two of its scorers: 'CHGNet', 'ESNet'"):
        with_cascade(data, text)
    with pytest.raises(ReplayDataError, match="none, since the data name none"):
        with_cascade(read_replay_data(ROOT / "examples" / "replay.csv"), text)


def test_what_is_learnt_from_is_what_was_relaxed_before_and_predictions_follow_it():
    known = [replace(each, uncertainty=0.1) for each in population(200, error=0.05, seed=2)]
    shifted = [replace(each, e_form_ml=each.e_form_ml + 0.4, e_hull_ml=each.e_hull_ml + 0.4) for each in known]
    seen = []

    def learner(relaxed):
        names = {each.id for each in relaxed}
        shift = sum(each.e_form - each.e_form_ml for each in relaxed) / len(relaxed) if relaxed else 0.0

        def correct(found):
            seen.append((len(names), found.id in names))
            return replace(found, e_form_ml=found.e_form_ml + shift, e_hull_ml=found.e_hull_ml + shift)

        return correct

    policy = Probability(p=0.3)
    plain = replay(policy, shifted, batch_size=20)
    learnt = replay(policy, shifted, batch_size=20, learner=learner)
    assert learnt.total_stable > 1.5 * plain.total_stable
    assert not any(leaks for _, leaks in seen)
    assert [count for count, _ in seen] == sorted(count for count, _ in seen)


def test_the_command_compares_scorers_policies_and_limits_in_one_table(tmp_path):
    path = table(tmp_path / "two.csv", TWO)
    words = [path, "--policy", "thresholds", "--policy", "expected_yield:explore=0.1", "--cascade", "CHGNet,ESNet"]
    words += ["--cascade", "CHGNet,ESNet,combined"]
    done = call(*words, "--seeds", 3, "--output", tmp_path / "out")
    assert done.exit_code == 0
    for text in ("oracle's", "CHGNet>ESNet", "expected_yield:explore=0.1", "random", "oracle", "predictions of ESNet"):
        assert text in done.output
    with (tmp_path / "out" / "totals.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == 3 * (4 * 2 + 2)
    found = json.loads(call(*words, "--json").stdout)
    assert set(found["prediction_errors"]) == {"CHGNet", "ESNet", "CHGNet>ESNet", "CHGNet+ESNet"}
    row = found["policies"]["CHGNet>ESNet: expected_yield:explore=0.1"]
    assert (row["scorer"], row["policy"]) == ("CHGNet>ESNet", "expected_yield:explore=0.1")
    # a: 52 CPU-s, b: 2 CPU-s, and one relaxation of 1000 CPU-s, for 2 candidates and all that is stable
    assert row["c_eff_cpu_s"]["mean"] == pytest.approx(1054.0 / 2)
    assert row["c_eff_over_oracle"]["mean"] == pytest.approx(1.054)
    with pytest.raises(ReplayDataError, match="--cascade CHGNet"):
        call(path, "--cascade", "CHGNet")


def test_the_table_of_the_documentation_is_that_of_the_shipped_data(capsys, monkeypatch):
    benchmark = runpy.run_path(str(ROOT / "benchmarks" / "cascade.py"))
    data = read_replay_data(ROOT / "benchmarks" / "data" / "cascade.csv")
    potentials = ["CHGNet", "SevenNet-0", "SevenNet-l3i5"]
    assert list(data.scorers) == ["ESNet", *potentials, "single point", "single point, CHGNet"]
    assert not [note for note in data.notes if "no column scorer_cpu_s" in note]
    pages = (ROOT / "docs" / "how-to" / "choosing.md", ROOT / "docs" / "explanation" / "choosing-tables.md")
    page = "".join(path.read_text(encoding="utf-8") for path in pages)
    assert f"{len(data.candidates)} candidates" in page
    # exit code 1: a strategy has beaten the oracle; what is recalibrated takes minutes
    monkeypatch.setattr("sys.argv", ["cascade.py", "--markdown", "--without-recalibration"])
    assert benchmark["main"]() == 0
    compared = [
        line
        for line in capsys.readouterr().out.splitlines()
        if line.startswith(("| ", "ESNet: ", "CHGNet: ", "SevenNet", "single", "cascade"))  # rows, errors, aims
    ]
    assert len(compared) == 6 + 2 * (2 + 12 + 3)
    assert not [line for line in compared if line[0].upper() + line[1:] not in page]


def rows_of(text):
    """Rows of strategies in the tables of a page, by name."""
    rows = (line.strip("| ").split(" | ") for line in text.splitlines() if ", " in line and line.startswith("| "))
    return {name: cells for name, *cells in rows if len(cells) == 5 and name != "strategy"}


def test_the_short_table_of_the_documentation_is_that_of_the_whole_ones():
    short, whole = (
        (ROOT / "docs" / name).read_text() for name in ("how-to/choosing.md", "explanation/choosing-tables.md")
    )
    measured, paper = map(rows_of, whole.split("## The paper's prices"))
    shown = rows_of(short)
    assert {"ESNet, probability", "SevenNet-l3i5, probability", "cascade combined, probability"} <= shown.keys()
    for name, (recall, *numbers) in shown.items():
        for (hours, ratio), table in zip((numbers[:2], numbers[2:]), (measured, paper), strict=True):
            _, cpu_hours, found, _, over_oracle = table[name]
            assert (recall, hours, ratio) == (found.split()[0], cpu_hours.split()[0], over_oracle), name


def test_the_benchmark_corrects_predictions_as_a_campaign_does():
    recalibration = runpy.run_path(str(ROOT / "benchmarks" / "cascade.py"))["recalibration"]
    known = [
        replace(each, e_form_ml=each.e_form_ml - 0.4 * each.composition.get("Si", 0.0))
        for each in read_replay_data(ROOT / "benchmarks" / "data" / "cascade.csv").scorers["CHGNet"]
        if not each.relaxation_failed
    ]
    relaxed, asked = known[:60], known[60:]
    samples = [
        Sample(
            id=each.id,
            fractions={symbol: number / each.n_sites for symbol, number in each.composition.items()},
            predicted=each.e_form_ml,
            calculated=each.e_form,
            uncertainty=each.uncertainty,
        )
        for each in relaxed
    ]
    fit = fit_correction(samples)
    assert fit.offsets is not None
    correct = recalibration(relaxed)
    for each in asked:
        fractions = {symbol: number / each.n_sites for symbol, number in each.composition.items()}
        corrected, found = fit.correct(fractions, each.e_form_ml, each.uncertainty), correct(each)
        assert (found.e_form_ml, found.uncertainty) == pytest.approx(corrected)
        assert found.e_hull_ml - each.e_hull_ml == pytest.approx(found.e_form_ml - each.e_form_ml)
    unknown = replace(asked[0], e_form_ml=math.nan, e_hull_ml=math.nan, uncertainty=None)
    assert correct(unknown) is unknown
    assert recalibration(known[:9])(asked[0]) == asked[0]
