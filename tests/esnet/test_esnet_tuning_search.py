"""A search must not ask twice for what failed, lose what it knew, or leave its range; a study must refuse strangers."""

import csv
import json
import math
import pickle
import threading
from random import Random
from types import SimpleNamespace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from esnet.tuning.ax_search import AxSearch, GridSearch, Outcome
from esnet.tuning.results import write_plots, write_summary, write_table
from esnet.tuning.settings import Resources, SearchSettings
from esnet.tuning.space import PAPER_SPACE, Choice, FloatRange, IntRange, TuningError, check_point, grid_points
from esnet.tuning.study import Study, Trial, best_trial

# Ax calls pandas in ways that pandas 4 will not take
pytestmark = pytest.mark.filterwarnings(r"ignore::DeprecationWarning:ax\..*")

FAILED = Outcome(ending="failed")


def valley(point):
    """Smallest, 0, at learning rate 0.0015 and batch size 30."""
    return (point["learning_rate"] * 1000 - 1.5) ** 2 + ((point["batch_size"] - 30) / 30) ** 2


def finished(value, step=3):
    return Outcome(ending="finished", value=value, step=step)


class TestSpace:
    @example(low=0.6531839336143506, factor=127.25, numbers=(1, 2), shape=(2, 2), log=False)
    @given(
        low=st.floats(1e-6, 1.0),
        factor=st.floats(1.01, 1000.0),
        numbers=st.tuples(st.integers(1, 60), st.integers(2, 200)),
        shape=st.tuples(st.integers(1, 6), st.integers(1, 3)),
        log=st.booleans(),
    )
    def test_a_grid_leaves_its_range_or_repeats_a_point(self, low, factor, numbers, shape, log):
        first, width = numbers
        space = {
            "rate": FloatRange(low=low, high=low * factor, log=log),
            "size": IntRange(low=first, high=first + width, log=log),
        }
        points = grid_points(space, shape)
        assert len(points) == len({tuple(point.values()) for point in points}) == shape[0] * shape[1]
        for point in points:
            check_point(space, point)
        if min(shape) > 1:
            assert {low, low * factor} <= {point["rate"] for point in points}
            assert {first, first + width} <= {point["size"] for point in points}

    @given(st.integers(0, 2**32))
    def test_a_random_point_is_outside_the_space(self, seed):
        random = Random(seed)
        for domain in (*PAPER_SPACE.values(), FloatRange(low=1e-5, high=1.0, log=True), Choice(values=("a", "b"))):
            assert domain.holds(domain.draw(random))

    def test_the_papers_upper_batch_size_is_left_out(self):
        assert PAPER_SPACE["batch_size"].holds(65)
        assert not PAPER_SPACE["batch_size"].holds(66)
        assert grid_points(PAPER_SPACE, (1, 2))[-1]["batch_size"] == 65

    @pytest.mark.parametrize(
        "wrong",
        [
            lambda: FloatRange(low=2.0, high=1.0),
            lambda: FloatRange(low=0.0, high=1.0, log=True),
            lambda: IntRange(low=1, high=2.5),  # type: ignore[arg-type]
            lambda: Choice(values=(1, "a")),
            lambda: grid_points(PAPER_SPACE, (3,)),
            lambda: grid_points(PAPER_SPACE, (3, 51)),
            lambda: check_point(PAPER_SPACE, {"learning_rate": 0.001}),
            lambda: check_point(PAPER_SPACE, {"learning_rate": 0.001, "batch_size": 66}),
            lambda: check_point(PAPER_SPACE, {"learning_rate": 0.001, "batch_size": 32.0}),
            lambda: SearchSettings(trials=0),
            lambda: SearchSettings(reduction=1.0),
            lambda: SearchSettings(grid=(2, 2), points=({"learning_rate": 0.001, "batch_size": 32},)),
            lambda: Resources(cpus=0),
            lambda: Resources(gpus=-1.0),
        ],
    )
    def test_what_cannot_be_searched_is_not_refused(self, wrong):
        with pytest.raises(TuningError):
            wrong()


class TestAx:
    def test_failing_trials_are_proposed_for_ever(self):
        search = AxSearch(PAPER_SPACE, seed=1, initial_trials=3)
        for _ in range(3):
            number, point = search.ask()
            search.tell(number, finished(valley(point)))
        failed = []
        for _ in range(4):
            number, point = search.ask()
            search.tell(number, FAILED)
            failed.append(tuple(point.values()))
        assert len(set(failed)) == len(failed)

    def test_waiting_for_results_of_trials_that_all_failed_never_ends(self):
        search = AxSearch(PAPER_SPACE, seed=1, initial_trials=2)
        for _ in range(6):
            number, point = search.ask()
            check_point(PAPER_SPACE, point)
            search.tell(number, FAILED)

    def test_a_loss_that_is_not_finite_breaks_the_model(self):
        search = AxSearch(PAPER_SPACE, seed=1, initial_trials=3)
        for value in (1.0, math.nan, 0.5, math.inf, 0.7):
            number, _ = search.ask()
            search.tell(number, Outcome(ending="finished", value=value, step=2))
        assert search.ask() is not None

    def test_the_search_does_not_find_the_valley(self):
        search = AxSearch(PAPER_SPACE, seed=1, initial_trials=4)
        values = []
        for place in range(12):
            number, point = search.ask()
            values.append(valley(point))
            ending = "stopped" if place % 3 == 1 else "finished"
            search.tell(number, Outcome(ending=ending, value=values[-1], step=1 + place % 3))
        assert min(values[4:]) < min(values[:4])
        assert min(values) < 0.05

    def test_a_restarted_search_repeats_its_first_points(self):
        first = AxSearch(PAPER_SPACE, seed=1, initial_trials=4)
        past = []
        for _ in range(2):
            number, point = first.ask()
            first.tell(number, finished(valley(point)))
            past.append((point, finished(valley(point))))
        again = AxSearch(PAPER_SPACE, seed=1, initial_trials=4)
        again.tell_past(past)
        asked = [again.ask()[1] for _ in range(2)]
        assert not [point for point in asked if point in [known for known, _ in past]]

    def test_a_restarted_search_forgets_what_it_knew(self):
        random = Random(3)
        points = [{name: domain.draw(random) for name, domain in PAPER_SPACE.items()} for _ in range(12)]
        search = AxSearch(PAPER_SPACE, seed=1, initial_trials=4)
        search.tell_past((point, finished(valley(point))) for point in points)
        # in a pickle as Ray makes one, before the first question
        _, point = pickle.loads(pickle.dumps(search)).ask()
        assert valley(point) < sorted(map(valley, points))[2]

    def test_a_number_that_ax_does_not_know_ends_the_run(self):
        search = AxSearch(PAPER_SPACE, seed=1)
        number, _ = search.ask()
        search.tell(number, finished(0.4))
        search.tell(number, finished(0.4))
        search.tell(99, FAILED)

    def test_points_of_all_kinds_of_domains_leave_the_space(self):
        space = {
            "rate": FloatRange(low=1e-5, high=1e-1, log=True),
            "size": IntRange(low=1, high=64, log=True),
            "loss": Choice(values=("logcosh", "mae", "mse")),
            "xla": Choice(values=(True, False)),
        }
        search = AxSearch(space, seed=2, initial_trials=3)
        for _ in range(5):
            number, point = search.ask()
            check_point(space, point)
            assert json.loads(json.dumps(point)) == point
            search.tell(number, finished(point["size"] / 64))

    def test_a_point_outside_is_taken_on(self):
        with pytest.raises(TuningError, match="batch_size=70"):
            AxSearch(PAPER_SPACE).attach({"learning_rate": 0.001, "batch_size": 70})

    def test_a_restarted_grid_runs_a_point_twice(self):
        points = grid_points(PAPER_SPACE, (2, 2))
        grid = GridSearch(points)
        grid.tell_past([(points[2], FAILED)])
        grid.attach(points[0])
        asked = [grid.ask() for _ in range(3)]
        assert [point for _, point in asked[:2]] == [points[1], points[3]]
        assert asked[2] is None


class TestScheduler:
    """Ray is imported and not started."""

    def decisions(self, past, losses, name="trial-009"):
        from esnet.tuning.ray_adapters import new_scheduler

        scheduler = new_scheduler(metric="loss", max_epochs=9, grace=2, reduction=2, past=past)
        trial = SimpleNamespace(config={"trial": name}, trial_id="something-else")
        scheduler.on_trial_add(None, trial)
        return [
            scheduler.on_trial_result(None, trial, {"epoch": epoch, "loss": loss})
            for epoch, loss in enumerate(losses, start=1)
        ]

    def curve(self, *losses):
        return tuple({"epoch": epoch, "loss": loss} for epoch, loss in enumerate(losses, start=1))

    def test_after_a_restart_a_bad_trial_is_no_longer_stopped(self):
        past = [
            Trial(name=f"trial-{number:03d}", parameters={}, status="finished", curve=self.curve(*[0.1] * 9))
            for number in (1, 2)
        ]
        assert self.decisions(past, [0.9, 0.9]) == ["CONTINUE", "STOP"]
        assert self.decisions([], [0.9, 0.9]) == ["CONTINUE", "CONTINUE"]

    def test_a_trial_that_goes_on_competes_with_itself(self):
        past = [Trial(name="trial-001", parameters={}, curve=self.curve(0.5, 0.5, 0.5))]
        assert set(self.decisions(past, [0.6] * 3, name="trial-001")) == {"CONTINUE"}

    def test_a_trial_is_stopped_at_its_last_epoch_and_leaves_no_model(self):
        past = [Trial(name="trial-001", parameters={}, status="finished", curve=self.curve(*[0.1] * 8, 0.0))]
        assert self.decisions(past, [0.1] * 8 + [0.9])[-1] == "CONTINUE"

    def test_values_that_are_not_finite_spoil_the_comparison(self):
        past = [Trial(name="trial-001", parameters={}, status="failed", curve=self.curve(None, None))]
        assert self.decisions(past, [0.5, math.nan]) == ["CONTINUE", "STOP"]
        assert self.decisions(past, [0.5, 0.5]) == ["CONTINUE", "CONTINUE"]


class TestStudy:
    IDENTITY = {"data": "abc", "training": {"max_epochs": 300, "widths": (8, 16, 32, 64)}}  # noqa: RUF012

    def test_other_settings_go_on_in_the_same_folder(self, tmp_path):
        Study.begin(tmp_path / "study", identity=self.IDENTITY, about={})
        Study.begin(tmp_path / "study", identity=self.IDENTITY, about={"run": "another"})
        other = {"data": "abc", "training": {"max_epochs": 100, "widths": (8, 16, 32, 64)}, "kinds": "both"}
        with pytest.raises(TuningError, match=r"kinds was 'absent'.*training.max_epochs was 300 and is 100"):
            Study.begin(tmp_path / "study", identity=other, about={})

    def test_a_folder_with_something_else_is_written_into(self, tmp_path):
        (tmp_path / "notes.txt").write_text("mine")
        with pytest.raises(TuningError, match="not a tuning study"):
            Study.begin(tmp_path, identity={}, about={})
        assert [file.name for file in tmp_path.iterdir()] == ["notes.txt"]

    def test_two_processes_work_on_one_study(self, tmp_path):
        study = Study.begin(tmp_path / "study", identity={}, about={})
        refused = []

        def other():
            try:
                with study.locked():
                    pass
            except TuningError as error:
                refused.append(str(error))

        with study.locked():
            thread = threading.Thread(target=other)
            thread.start()
            thread.join()
        assert "another process" in refused[0]
        with study.locked():
            pass

    def test_a_trial_is_not_what_was_written(self, tmp_path):
        study = Study.begin(tmp_path / "study", identity={}, about={})
        trial = Trial(name="trial-001", parameters={"batch_size": 20}).with_row({"epoch": 1, "loss": 0.5})
        study.write(trial)
        study.end(trial, "failed", message="boom")
        (found,) = study.trials()
        assert (found.status, found.message, found.curve) == ("failed", "boom", trial.curve)
        assert found.ended is not None

    def test_a_file_cut_off_is_passed_over(self, tmp_path):
        study = Study.begin(tmp_path / "study", identity={}, about={})
        study.write(Trial(name="trial-001", parameters={}))
        file = study.folder("trial-001") / "trial.json"
        file.write_text(file.read_text()[:20])
        with pytest.raises(TuningError, match=r"trial-001/trial\.json cannot be read"):
            study.trials()

    def test_epochs_that_a_restarted_worker_repeats_stand_twice(self):
        trial = Trial(name="trial-001", parameters={})
        for epoch, loss in ((1, 0.9), (2, 0.8), (3, 0.7), (2, 0.8), (3, 0.6)):
            trial = trial.with_row({"epoch": epoch, "loss": loss})
        assert [(row["epoch"], row["loss"]) for row in trial.curve] == [(1, 0.9), (2, 0.8), (3, 0.6)]
        assert (trial.epoch, trial.last("loss")) == (3, 0.6)

    def test_a_trial_that_did_not_finish_is_the_best(self):
        def trial(number, status, value, message=""):
            curve = () if value is None else ({"epoch": 1, "loss": value},)
            return Trial(name=f"trial-{number}", parameters={}, status=status, curve=curve, message=message)

        trials = [
            trial(1, "stopped", 0.1),
            trial(2, "finished", 0.3),
            trial(3, "finished", 0.2),
            trial(4, "failed", 0.0),
        ]
        assert best_trial(trials, "loss").name == "trial-3"
        with pytest.raises(TuningError, match=r"no trial of 1 finished; trial-1: out of memory"):
            best_trial([trial(1, "failed", None, "out of memory")], "loss")


def some_trials(points, values, statuses=None):
    return [
        Trial(
            name=f"trial-{number:03d}",
            parameters={"learning_rate": rate, "batch_size": size},
            status=(statuses or {}).get(number, "finished"),
            curve=() if value is None else ({"epoch": 1, "loss": value},),
        )
        for number, ((rate, size), value) in enumerate(zip(points, values, strict=True), start=1)
    ]


RESULTS = {
    "a_surface": some_trials(
        [(0.0005, 16), (0.002, 16), (0.0005, 65), (0.002, 65), (0.001, 30), (0.0015, 40)],
        [0.3, 0.2, 0.25, 0.4, 0.1, None],
        {2: "stopped", 6: "failed"},
    ),
    "one": some_trials([(0.001, 32)], [0.2]),
    "on_one_line": some_trials([(0.0005 * n, 16 * n) for n in (1, 2, 3, 4)], [0.1, 0.2, 0.3, 0.4]),
    "all_the_same": some_trials([(0.001, 32)] * 5, [0.2] * 5),
    "all_failed": some_trials([(0.001, 32), (0.002, 20)], [None, None], {1: "failed", 2: "failed"}),
}


@pytest.mark.parametrize("trials", RESULTS.values(), ids=RESULTS)
def test_results_of_any_shape_cannot_be_plotted(trials, tmp_path):
    files = write_plots(tmp_path, trials, space=PAPER_SPACE, metric="loss", label="loss")
    assert [file.name for file in files] == ["surface.png", "surface.svg"]
    assert all(file.stat().st_size > 5000 for file in files)


def test_the_table_lacks_a_trial_or_a_value(tmp_path):
    trials = RESULTS["a_surface"]
    with write_table(tmp_path, trials, names=list(PAPER_SPACE), metric="loss").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["trial"], row["status"], row["loss"]) for row in rows[-2:]] == [
        ("trial-005", "finished", "0.1"),
        ("trial-006", "failed", ""),
    ]
    assert float(rows[0]["learning_rate"]) == 0.0005
    summary = json.loads(write_summary(tmp_path, trials, best=trials[4], metric="loss").read_text())
    assert summary["best"]["trial"] == "trial-005"
    assert summary["trials"] == {"finished": 4, "stopped": 1, "failed": 1}
