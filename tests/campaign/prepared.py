"""Campaigns brought to where a test begins, with made-up energies where an engine would have computed."""

from campaign.running_campaign import start_campaign

#: 18 candidates, 16 of them screened in batches of 5, 5, 5 and 1.
BATCHES = {
    "candidates": {"prototypes": ["B1", "B2", "B3", "L1_0", "L1_2"], "elements": ["Al", "Cu", "Ag"]},
    "screening": {"batch_size": 5, "min_completed_fraction": 0.8},
    "policy": {"max_formation_energy": -0.02, "max_hull_energy": 0.13},
}
MODEL = {"checksum": "0" * 64, "n_structures": 5, "source": "bootstrap", "representation": {}}


def with_model(store, launchpad, spec):
    """Start a campaign; its references and bootstrap sample are relaxed, and its model is there."""
    start_campaign(store, launchpad, spec)
    relax_references(store)
    store.candidates.update_many(
        {"role": "bootstrap"}, {"$set": {"state": "relaxed", "relaxation.energy": -1.0, "rs_dos.state": "done"}}
    )
    store.references.update_many({}, {"$set": {"rs_dos.state": "done"}})
    store.campaigns.update_one({"_id": spec.name}, {"$set": {"model": MODEL}})
    return spec.name


def relax_references(store):
    """Give the references energies of -3, -4, ... eV, in the order of their ids."""
    for energy, reference in enumerate(store.references.find().sort("_id"), start=3):
        facts = {"energy": -float(energy), "vasp_version": "6.9.9-gpaw-test"}
        update = {"state": "relaxed", **{f"relaxation.{key}": value for key, value in facts.items()}}
        store.references.update_one({"_id": reference["_id"]}, {"$set": update})


def finish_dos(store, *, batch, number):
    """Let some IS-DOS of a batch be done; return the candidates' ids."""
    ids = [found["_id"] for found in store.candidates.find({"batch": batch, "state": "dos_running"}).limit(number)]
    store.candidates.update_many({"_id": {"$in": ids}}, {"$set": {"state": "dos_done"}})
    return ids


def steps(store):
    """Ids of the steps that were submitted."""
    return sorted(step["_id"] for step in store.steps.find())
