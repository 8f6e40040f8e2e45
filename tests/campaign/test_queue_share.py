"""IS-DOS and relaxations share workers and queues: neither waits until the other has no work left."""

from collections import Counter

import pytest
from fireworks import FWAction, FWorker

from campaign.running_campaign import start_campaign
from campaign.scheduling.queue_share import share_workers
from campaign.store.campaigns import OpenCampaign
from launchers.cluster.queue_filler import whose_turn

PUBLISHED = 22_709
ELEMENTS = ["Al", "Cu", "Ag", "Au", "Pd", "Pt", "Ni"]


def queue(weights, work, *, slots, minutes, until):
    """Simulate a queue of so many jobs, filled whenever one ends; return minutes of jobs by category."""
    left, running, used, now = dict(work), [], Counter(), 0
    while now < until:
        while len(running) < slots and any(left.values()):
            jobs = {name: sum(job == name for _, job in running) for name, number in left.items() if number}
            turn = whose_turn(jobs, weights)
            left[turn] -= 1
            used[turn] += minutes[turn]
            running.append((now + minutes[turn], turn))
        now = min(end for end, _ in running)
        running = [(end, job) for end, job in running if end > now]
    return used, left


@pytest.mark.parametrize(("weights", "share"), [({"relax": 1, "dos": 1}, 0.5), ({"relax": 3, "dos": 1}, 0.75)])
def test_a_queue_is_shared_by_weight_whoever_has_the_longer_list(weights, share):
    minutes = {"dos": 2, "relax": 60}
    for work in ({"dos": PUBLISHED, "relax": 500}, {"dos": 8000, "relax": PUBLISHED}):
        used, left = queue(weights, work, slots=20, minutes=minutes, until=1200)
        assert all(left.values())  # both had work until the end
        assert used["relax"] / sum(used.values()) == pytest.approx(share, abs=0.05)


def test_what_others_wait_for_comes_first_and_a_queue_alone_is_used_as_a_whole():
    weights = dict.fromkeys(("train", "screen", "relax", "dos"), 1)
    assert whose_turn({"dos": 0, "relax": 0, "screen": 7}, weights) == "screen"
    assert whose_turn({"dos": 12, "relax": 4}, weights) == "relax"
    assert whose_turn({"dos": 12}, weights) == "dos"


@pytest.fixture
def many(store, launchpad, small_spec):
    """A campaign in which relaxations and IS-DOS wait, more of both than will be run; and nothing else."""

    def make(**screening):
        candidates = {"prototypes": ["B1", "B2", "B3", "L1_0", "L1_2"], "elements": ELEMENTS}
        start_campaign(store, launchpad, small_spec(candidates=candidates, screening=screening))
        launchpad.fireworks.update_many(
            {"spec.stage": "dos", "fw_id": {"$mod": [4, 1]}, "state": "READY"},
            {"$set": {"spec._category": "relax", "spec._priority": 20}},
        )
        others = {"spec._priority": {"$in": [25, 90]}}  # references, and what records
        launchpad.fireworks.update_many(others, {"$set": {"state": "PAUSED"}})
        return OpenCampaign.open(store, launchpad, "small")

    return make


def work(campaign, *, workers, number):
    """Let workers without a category run calculations that take 3 and 1 units of time; return how many of each."""
    launchpad, running, done = campaign.launchpad, [], Counter()
    for now in range(number):
        while len(running) < workers:
            firework, launch = launchpad.checkout_fw(FWorker("any"), "/nowhere")
            category = firework.spec["_category"]
            running.append((now + (3 if category == "relax" else 1), category, launch))
        running.sort()
        while running and running[0][0] <= now:
            _, category, launch = running.pop(0)
            done[category] += 1
            share_workers(campaign)  # as every calculation does at its end, while it still is RUNNING
            launchpad.complete_launch(launch, FWAction())
    return done


@pytest.mark.mongo
@pytest.mark.parametrize("workers", [1, 4])
def test_workers_without_a_category_run_both(many, workers):
    done = work(many(), workers=workers, number=60 // workers)
    assert done["relax"] >= 2
    assert done["dos"] >= 2


@pytest.mark.mongo
def test_relaxations_come_first_where_that_is_asked_for(many):
    assert set(work(many(dos_share=0.0), workers=2, number=8)) == {"relax"}


@pytest.mark.mongo
def test_the_next_one_is_found_without_reading_the_whole_list(many, store):
    campaign = many()
    ready = {"state": "READY", "spec._priority": 10}
    assert campaign.launchpad.fireworks.count_documents(ready) > 50
    campaign.launchpad.checkout_fw(FWorker("any", category="relax"), "/nowhere")
    for expected in (1, 1):  # one at a time is brought forward
        store.database.command("profile", 2)
        share_workers(campaign)
        store.database.command("profile", 0)
        found = store.database["system.profile"].find({"ns": f"{store.database.name}.fireworks"})
        assert sum(each.get("docsExamined", 0) for each in found) < 10
        store.database["system.profile"].drop()
        assert campaign.launchpad.fireworks.count_documents({"spec._priority": 22}) == expected
