"""A synthetic, half-finished campaign for benchmarks, for which no calculation is run."""

from datetime import timedelta
from typing import Any

from campaign.store.campaigns import Campaign

RUNNING = 100
ELEMENTS = ("Al", "Cu", "Ag", "Au", "Pd", "Pt", "Ni", "Ti", "Zr", "Nb")
PROTOTYPES = ("B1", "B2", "B3", "L1_0", "L1_2", "D0_3", "D0_22", "A15")


def campaign_with(store: Any, launchpad: Any, number: int, *, name: str, cpu_hours: float | None = None) -> str:
    """Write a campaign with screened candidates, a reference set, a model, and nothing submitted; return its name."""
    from benchmarks.screening import multiply
    from campaign.references.reference_sets import freeze_reference_set
    from campaign.spec.reader import read_firework_spec
    from campaign.steps.start import write_campaign

    content = {
        "candidates": {"prototypes": list(PROTOTYPES), "elements": list(ELEMENTS), "max_candidates": number + 2},
        "dft": {"engine": "gpaw"},
        "model": {"bootstrap_size": 2},
        "policy": {"max_formation_energy": 0.0, "max_hull_energy": 20.0},
        "budget": {} if cpu_hours is None else {"cpu_hours": cpu_hours},
    }
    write_campaign(store, read_firework_spec({"campaign": content}, name=name))
    store.candidates.delete_many({"campaign": name, "role": "bootstrap"})
    multiply(store, name, number)
    ended = {"state": "relaxed", "relaxation.vasp_version": "6.9.9-gpaw-benchmark", "rs_dos.state": "done"}
    for phase in store.references.find({"campaign": name}, ["n_sites"]):
        energy = {"relaxation.energy": -3.0 * phase["n_sites"]}
        store.references.update_one({"_id": phase["_id"]}, {"$set": ended | energy})
    freeze_reference_set(Campaign.read(store, name))
    divide_into_batches(store, name, Campaign.read(store, name).spec.screening.batch_size)
    model = {"checksum": "0" * 64, "n_structures": 5, "source": "bootstrap", "representation": {}}
    store.campaigns.update_one({"_id": name}, {"$set": {"model": model, "models": [model]}})
    return name


def divide_into_batches(store: Any, name: str, size: int) -> None:
    """Renumber the batches, since `multiply` copies the batch number of a candidate."""
    ids = [found["_id"] for found in store.candidates.find({"campaign": name}, ["_id"])]
    parts = [ids[start : start + size] for start in range(0, len(ids), size)]
    for number, part in enumerate(parts):
        store.candidates.update_many({"_id": {"$in": part}}, {"$set": {"batch": number}})
    sizes = {"batch_sizes": [len(part) for part in parts], "n_screened": len(ids)}
    store.campaigns.update_one({"_id": name}, {"$set": sizes})


def bring_to_the_middle(store: Any, launchpad: Any, name: str) -> None:
    """Advance the first half of the candidates with a queued IS-DOS: to rejected, relaxed, failed, or relaxing.

    Documents, ledger and fireworks are consistent.
    """
    found = list(store.candidates.find({"campaign": name}, ["is_dos.fw_id", "batch", "composition"]).sort("batch"))
    half = found[: len(found) // 2]
    for number in sorted({candidate["batch"] for candidate in half}):
        step = {"_id": f"{name}/screen/{number}", "campaign": name, "kind": "screen", "state": "done"}
        store.insert_missing(store.steps, [step])
    tenth = len(half) // 10
    parts = {
        "relaxed": half[: 2 * tenth],
        "dos_failed": half[2 * tenth : 3 * tenth],
        "promoted": half[3 * tenth : 4 * tenth],
        "rejected": half[4 * tenth :],
    }
    for state, part in parts.items():
        ids = [candidate["_id"] for candidate in part]
        store.candidates.update_many({"_id": {"$in": ids}}, {"$set": {"state": state, **fields_of(state)}})
    outcomes = dict.fromkeys(parts, "completed") | {"dos_failed": "science"}
    entries = [("dos", outcomes[state], candidate) for state, part in parts.items() for candidate in part]
    entries += [("relax", "completed", candidate) for candidate in parts["relaxed"]]
    add_to_ledger(store, name, entries)
    for start in range(0, len(half), 1000):
        ids = [
            each
            for found in half[start : start + 1000]
            for each in (found["is_dos"]["fw_id"], found["is_dos"]["fw_id"] + 1)
        ]
        launchpad.fireworks.update_many({"fw_id": {"$in": ids}}, {"$set": {"state": "COMPLETED"}})
        launchpad.workflows.update_many({"nodes": {"$in": ids}}, {"$set": {"state": "COMPLETED"}})
    let_run(launchpad, [candidate["is_dos"]["fw_id"] for candidate in found[-RUNNING:]])


def fields_of(state: str) -> dict[str, Any]:
    """Return the fields of a candidate's document that go with a state."""
    from campaign.store.collections import now

    if state == "dos_failed":
        return {"final_failure": {"stage": "dos", "kind": "science", "error": "made up", "time": now()}}
    promoted = state != "rejected"
    outcome = "promoted" if promoted else "rejected"
    found: dict[str, Any] = {
        "prediction": {"e_form_per_atom": -0.1, "e_above_hull": 0.0, "model": "0" * 64},
        "decision": {"promoted": promoted, "audit": False, "outcome": outcome, "relax_cpu_s": 1000.0},
    }
    if state == "relaxed":
        found["relaxation.energy"] = -8.0
        found["result"] = {"e_form_per_atom": -0.05, "e_above_hull": 0.05, "stable": True, "time": now()}
    return found


def add_to_ledger(store: Any, name: str, entries: list[tuple[str, str, dict[str, Any]]]) -> None:
    """Write finished attempts, spread over the last two days."""
    from campaign.policies.cost_model import valence_electrons
    from campaign.store.collections import now

    time_now, step = now(), timedelta(days=2) / len(entries)
    documents = [
        {
            **{"_id": f"{name}.{n}", "campaign": name, "document": candidate["_id"], "stage": stage, "fw_id": -n},
            **{
                "outcome": outcome,
                "ended": time_now - n * step,
                "cpu_s": 10.0 * valence_electrons(candidate["composition"]),
                "gpu_s": 0.0,
                "schema_version": 1,
            },
        }
        for n, (stage, outcome, candidate) in enumerate(entries)
    ]
    store.attempts.insert_many(documents)


def let_run(launchpad: Any, fw_ids: list[int]) -> None:
    """Mark fireworks as running on another host, so that it is unknown whether they still run."""
    from datetime import UTC, datetime

    started = datetime.now(UTC).isoformat()
    for fw_id in fw_ids:
        launch = {"launch_id": -fw_id, "fw_id": fw_id, "state": "RUNNING", "host": "elsewhere", "time_start": started}
        launchpad.launches.insert_one(launch | {"fworker": {"name": "elsewhere"}, "state_history": []})
        changes = {"state": "RUNNING", "launches": [-fw_id]}
        launchpad.fireworks.update_one({"fw_id": fw_id}, {"$set": changes})


def hold_some(store: Any, name: str) -> None:
    """Mark rejected candidates as held, and let the next one require more than any budget allows."""
    held = [found["_id"] for found in store.candidates.find({"campaign": name, "state": "rejected"}, ["_id"])][::2]
    dear = {"n_sites": 10**12, "composition": {"Al": 10**12}}
    changes = {"state": "held", "decision.outcome": "held", **dear}
    store.candidates.update_many({"_id": {"$in": held}}, {"$set": changes})
    store.campaigns.update_one({"_id": name}, {"$set": {"next_held": [dear]}})
