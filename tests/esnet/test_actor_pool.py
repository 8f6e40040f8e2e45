"""How long a pool of actors waits: for Ray without an end, for an actor that has its place with a limit."""

import logging
import sys
import threading
import time
from collections import deque

import pytest

from esnet.ray.workers import room_on_cores
from esnet.scoring import pool as pools
from esnet.scoring.batch import ScoringError
from esnet.scoring.pool import ActorPool, Answer, Batch

pytestmark = pytest.mark.ray


class Slow:
    """Takes its time to load."""

    def __init__(self, loading_s: float) -> None:
        self.loading_s = loading_s

    def ready(self) -> Answer:
        time.sleep(self.loading_s)
        return self.score([])

    def score(self, ids: list[str]) -> Answer:
        return Answer(predictions=ids, actor="slow", cpu_s=0.0, wall_s=0.0)


@pytest.fixture
def pool_of(ray_here, monkeypatch):
    """A pool of one actor that takes both cores of Ray."""
    import ray
    from ray import cloudpickle

    cloudpickle.register_pickle_by_value(sys.modules[__name__])
    monkeypatch.setattr(pools, "_POLL_S", 0.2)
    monkeypatch.setattr(pools, "_SAY_S", 1.0)
    monkeypatch.setattr(pools, "_START_TIMEOUT_S", 5.0)
    made = []

    def make(loading_s: float) -> ActorPool:
        made.append(
            ActorPool(
                new_actor=lambda: ray.remote(num_cpus=2)(Slow).remote(loading_s),
                max_failures=0,
                waiting=deque([Batch(["a"])]),
                n_actors=1,
                task_name="test",
                resources={"CPU": 2.0},
            )
        )
        return made[-1]

    yield make
    for pool in made:
        pool.end()
    cloudpickle.unregister_pickle_by_value(sys.modules[__name__])


def answers(pool: ActorPool) -> list[str]:
    return [found for results in pool.answers() for found in results]


def test_an_actor_that_hangs_while_it_loads_ends_the_pool_although_it_holds_all_cores(pool_of):
    with pytest.raises(ScoringError, match="no actor started within 5 s"):
        answers(pool_of(3600.0))


def test_a_pool_waits_longer_than_that_for_cores_that_others_hold_and_says_so(pool_of, caplog):
    holder = pool_of(0.0)
    holder.more_to_come = True
    held = holder.answers()
    assert [next(held), next(held)] == [[], ["a"]]
    # given back by another thread, after more than the limit
    release = threading.Timer(8.0, holder.end)
    release.start()
    with caplog.at_level(logging.WARNING, logger=pools.__name__):
        assert answers(pool_of(0.0)) == ["a"]
    release.join()
    assert "waiting for Ray, which has no free resources for an actor ({'CPU': 2.0})" in caplog.text


def test_no_more_memory_is_reserved_for_a_worker_than_the_largest_node_has(ray_here):
    assert room_on_cores(bytes_each=2**20) == (2, 2**20)
    n_workers, memory = room_on_cores(bytes_each=2**60)
    assert n_workers == 1
    assert 2**20 < memory < 2**50
