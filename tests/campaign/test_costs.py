"""Expected costs: what a budget counts before anything has been spent."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from campaign.policies.cost_model import GPAW_FAST_DOS_CPU_S, GPAW_FAST_RELAX_CPU_S, CostModel, Ended, valence_electrons
from campaign.views.preview import format_preview

endings = st.lists(
    st.builds(Ended, n_sites=st.integers(1, 50), n_electrons=st.integers(1, 600), cpu_s=st.floats(1e-9, 1e9)),
    min_size=1,
    max_size=40,
)


@pytest.mark.parametrize(
    ("composition", "electrons"),
    [({"Al": 1}, 3), ({"Cu": 1, "Pd": 1}, 21), ({"In": 2}, 26), ({"Au": 1}, 11), ({"H": 1}, 1), ({"He": 1}, 2)],
)
def test_valence_electrons_are_those_of_a_paw_data_set(composition, electrons):
    assert valence_electrons(composition) == electrons


def test_before_anything_has_ended_the_users_guess_holds_for_every_size():
    model = CostModel.fit([], default_cpu_s=3107.0)
    assert model.estimate(n_sites=2, n_electrons=20) == model.estimate(n_sites=50, n_electrons=500) == 3107.0
    assert model.n_learnt == 0


@given(ended=endings)
def test_what_has_ended_is_expected_to_cost_what_it_did(ended):
    model = CostModel.fit(ended, default_cpu_s=1.0)
    expected = sum(model.estimate(n_sites=item.n_sites, n_electrons=item.n_electrons) for item in ended)
    assert expected == pytest.approx(sum(item.cpu_s for item in ended), rel=1e-6)


def test_a_power_law_in_the_size_is_learnt():
    rng = np.random.default_rng(1)
    ended = [
        Ended(n_sites=n, n_electrons=e, cpu_s=0.5 * n * e**1.5 * rng.lognormal(0.0, 0.1))
        for n, e in zip(rng.integers(1, 20, 200).tolist(), rng.integers(5, 300, 200).tolist(), strict=True)
    ]
    model = CostModel.fit(ended, default_cpu_s=1.0)
    assert model.exponents == pytest.approx((1.0, 1.5), abs=0.1)
    assert model.estimate(n_sites=10, n_electrons=100) == pytest.approx(0.5 * 10 * 100**1.5, rel=0.2)


def test_a_check_expects_what_gpaw_costs_and_the_figures_are_the_measured_ones(small_spec):
    page = (Path(__file__).resolve().parents[2] / "docs" / "explanation" / "choosing-tables.md").read_text()
    assert f"{GPAW_FAST_DOS_CPU_S} CPU-s per IS-DOS, {GPAW_FAST_RELAX_CPU_S} per relaxation" in page

    def said(**sections):
        return next(line for line in format_preview(small_spec(**sections)) if line.startswith("expected cost"))

    assert "at 11.1 CPU-s for an IS-DOS and 25 CPU-s for a relaxation, measured by this project with GPAW" in said()
    # a limit counts with what the section budget has, and so does the estimate
    for other in ({"budget": {"cpu_hours": 1.0}}, {"dft": {"engine": "gpaw", "quality": "standard"}}):
        assert "at 108.506 CPU-s for an IS-DOS and 3107 CPU-s for a relaxation, the paper's averages" in said(**other)
    own = said(budget={"dos_cpu_s": 7.0, "relax_cpu_s": 9.0})
    assert "at 7 CPU-s for an IS-DOS and 9 CPU-s for a relaxation, as the section budget says" in own
