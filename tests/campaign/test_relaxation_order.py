"""The order of relaxations: what waits for its elements costs neither time nor memory that grows with the batch."""

from types import SimpleNamespace

import pytest
from pymatgen.core import Lattice, Structure

from campaign.candidates.elements import reference_structure
from campaign.scorers.force_field import ForceField
from campaign.scorers.relaxation import Guards
from campaign.scorers.relaxation_order import RelaxationOrder
from esnet.ray.session import ray_session

CELL = Lattice.cubic(3.0), ["Cu", "Au"], [[0, 0, 0], [0.5, 0.5, 0.5]]


class Counted(Structure):
    """A crystal that counts how often it is looked at."""

    looks = 0

    @property
    def composition(self):
        Counted.looks += 1
        return super().composition


def looks_while_elements_are_relaxed(n: int) -> float:
    """Looks at a candidate, of so many that wait."""
    order = RelaxationOrder(1, lambda symbol: [reference_structure(symbol)], Guards())
    crystals = [Counted(*CELL) for _ in range(n)]
    Counted.looks = 0
    for number, crystal in enumerate(crystals):
        order.add(str(number), crystal)
    assert (order.n_held, order.n_ready) == (n, 2)  # the two elements
    for energy in (-3.0, -3.2):
        order.done(order.next(), [energy])
    released = [order.next() for _ in range(n)]
    assert [task.name for task in released] == [str(number) for number in range(n)]
    assert all(task.zeros == (pytest.approx(-3.1),) for task in released)
    assert order.next() is None
    return Counted.looks / n


def test_a_candidate_is_looked_at_as_often_however_many_wait():
    assert looks_while_elements_are_relaxed(200) == looks_while_elements_are_relaxed(20)


class Reading:
    """What a Screen would hand to a scorer, of many candidates of two elements; counts those that are read."""

    actors = SimpleNamespace(actors=1, gpus_per_actor=None, actor_batch=None)
    step_id = "test/screen/0"
    campaign = SimpleNamespace(name="test")
    n_read = 0

    def structures(self, ids):
        for name in ids:
            self.n_read += 1
            yield name, Structure(*CELL)

    def element_structures(self, symbol):
        return [reference_structure(symbol)]

    def kept_energies(self):
        return {}

    def keep_energies(self, energies):
        pass

    def on_usage(self, usage):
        pass


@pytest.mark.ray
def test_a_batch_of_two_elements_is_read_as_it_is_relaxed():
    context, n_read = Reading(), []
    scorer = ForceField(calculator="EMT", force_tolerance=0.1)
    with ray_session("local", num_cpus=1, num_gpus=0):
        for score in scorer.score([str(number) for number in range(60)], context):
            assert score.e_form is not None
            n_read.append(context.n_read)
    assert n_read[0] < 20  # one actor, 8 that wait, and those that were given out
    assert n_read == sorted(n_read)
    assert (len(n_read), n_read[-1]) == (60, 60)
