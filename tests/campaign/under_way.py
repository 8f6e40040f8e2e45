"""A campaign that is under way: some candidates relaxed, some running on two nodes, one failed, the others waiting."""

from datetime import timedelta

from report_campaign import begin, predict, relax

from campaign.store.collections import now

#: Launches of FireWorks that tests make up, far from those of a run.
_FIRST_LAUNCH = 90_000


def under_way(store, launchpad, spec, *, relaxed=None, failing=1):
    """Take a campaign to its relaxations; return its name.

    Parameters
    ----------
    relaxed
        How many promoted candidates are relaxed; None: all but those that fail.
    """
    name = begin(store, launchpad, spec)
    truth = predict(store, name)
    sent = [found["_id"] for found in store.candidates.find({"campaign": name, "state": "promoted"}).sort("_id")]
    waiting = [] if relaxed is None else sent[relaxed + failing :]
    store.candidates.update_many({"_id": {"$in": waiting}}, {"$set": {"state": "set_aside"}})
    relax(store, name, truth, failing=failing)
    store.candidates.update_many({"_id": {"$in": waiting}}, {"$set": {"state": "promoted"}})
    store.candidates.update_many({"_id": {"$in": waiting[:2]}}, {"$set": {"state": "relax_running"}})
    store.candidates.update_many({"state": "relax_failed"}, {"$set": {"final_failure.cause": "not_converged"}})
    began = now() - timedelta(hours=2.0)
    for place, entry in enumerate(store.attempts.find({"campaign": name}).sort("_id")):
        ended = began + timedelta(seconds=100 * (place + 1))
        times = {"started": ended - timedelta(seconds=90 + 60 * (place % 3)), "ended": ended}
        store.attempts.update_one({"_id": entry["_id"]}, {"$set": times | {"host": f"node{1 + place % 2}"}})
    run_on_nodes(store, name, number=3)
    retried = store.candidates.find_one({"campaign": name, "state": "relax_running"})["_id"]
    entry = {"campaign": name, "document": retried, "stage": "relax", "host": "node2", "outcome": "machine"}
    times = {"started": now() - timedelta(minutes=50), "ended": now() - timedelta(minutes=35)}
    words = {"cause": "license_missing", "error": "no licence for vasp_std on node2"}
    store.attempts.insert_one({"_id": f"{retried}/relax.0", **entry, **times, **words, "cpu_s": 4.0})
    return name


def run_on_nodes(store, name, *, number):
    """Let some fireworks that are ready run on two nodes, each with an attempt in the ledger."""
    fireworks = store.database["fireworks"]
    ready = list(fireworks.find({"spec.campaign_name": name, "state": "READY"}).sort("fw_id").limit(number))
    for place, firework in enumerate(ready):
        launch = _FIRST_LAUNCH + firework["fw_id"]
        began = now() - timedelta(minutes=10 * (place + 1))
        worker = {"name": f"node{1 + place % 2}"}
        store.database["launches"].insert_one(
            {"launch_id": launch, "fworker": worker, "time_start": began.isoformat(), "state_history": []}
        )
        fireworks.update_one({"fw_id": firework["fw_id"]}, {"$set": {"state": "RUNNING", "launches": [launch]}})
        store.attempts.insert_one(
            {
                **{"_id": f"{firework['fw_id']}.1", "campaign": name, "fw_id": firework["fw_id"]},
                **{"document": firework["spec"].get("document"), "stage": firework["spec"].get("stage", "relax")},
                **{"outcome": "running", "started": began, "host": worker["name"], "cpu_s": 60.0 * (place + 1)},
            }
        )


def find_one_more(store, name):
    """Let a candidate that was relaxing be relaxed and stable, as a finished relaxation does; return its formula."""
    found = store.candidates.find_one({"campaign": name, "state": "relax_running"})
    result = {"e_form_per_atom": -0.777, "e_above_hull": -0.055, "stable": True, "time": now()}
    store.candidates.update_one({"_id": found["_id"]}, {"$set": {"state": "relaxed", "result": result}})
    store.attempts.insert_one(
        {
            **{"_id": f"{found['_id']}/relax.1", "campaign": name, "document": found["_id"], "stage": "relax"},
            **{"outcome": "completed", "cpu_s": 360.0, "started": now() - timedelta(minutes=6), "ended": now()},
        }
    )
    return found["formula"]
