"""A campaign as a report finds it: real structures, references and decisions; made-up energies, DOS and costs."""

import math
from datetime import timedelta
from typing import Any

import numpy as np
from predicted import store_predictions
from prepared import MODEL, relax_references
from pymatgen.core import Composition

from campaign.references.reference_sets import freeze_reference_set, load_hull
from campaign.running_campaign import start_campaign
from campaign.scheduling.evaluate import evaluate_relaxed
from campaign.steps.decide import make_decisions
from campaign.store.campaigns import Campaign
from campaign.store.collections import now
from esnet.representation.dos import DOS_SHAPE, ENERGY_GRID
from workflows.dos import DosFeatures

#: 60 candidates, 54 of them screened.
SECTIONS: dict[str, Any] = {
    "candidates": {"prototypes": ["B1", "B2", "B3", "L1_0", "L1_2"], "elements": ["Li", "Al", "Cu", "Pd", "Ag"]},
    "policy": {"max_formation_energy": -0.02, "max_hull_energy": 0.13, "audit": 0.3},
    "model": {"bootstrap_size": 6},
}
HOSTILE = '</script><script>window.injected = 1</script><img src=x onerror="window.injected = 2"><!--\'&\u2028'
STEP = "{name}/screen/0"


def begin(store, launchpad, spec):
    """Start it: references and bootstrap sample relaxed, reference set frozen, a model there; return its name."""
    start_campaign(store, launchpad, spec)
    relax_references(store)
    store.references.update_many({}, {"$set": {"rs_dos.state": "done"}})
    store.campaigns.update_one({"_id": spec.name}, {"$set": {"model": MODEL, "models": [MODEL]}})
    freeze_reference_set(Campaign.read(store, spec.name))
    return spec.name


def predict(store, name, *, seed=1, uncertain=True):
    """IS-DOS of all screened ones, predictions that err by 0.1 eV/atom, decisions; return the true energies."""
    rng = np.random.default_rng(seed)
    campaign = Campaign.read(store, name)
    screened = list(store.candidates.find({"campaign": name, "role": "screened"}).sort("_id"))
    store.insert_missing(store.features, [features(document, "dos", rng) for document in screened])
    for document in screened:
        facts = {
            "state": "dos_done",
            "is_dos.features": f"{document['_id']}:dos",
            "is_dos.vasp_version": "6.9.9-gpaw-test",
        }
        store.candidates.update_one({"_id": document["_id"]}, {"$set": facts})
    ids = [document["_id"] for document in screened]
    truth = dict(zip(ids, rng.normal(-0.12, 0.2, len(ids)), strict=True))
    predicted = {key: value + rng.normal(0.0, 0.1) for key, value in truth.items()}
    predicted[ids[-1]] = math.nan
    sigma = {key: float(rng.uniform(0.06, 0.16)) for key in ids} if uncertain else {}
    step = STEP.format(name=name)
    store_predictions(campaign, step, ids, predicted, uncertainty=sigma, reasons={ids[-1]: "no features"})
    make_decisions(campaign, step)
    charge(store, name, ids, "dos", rng.uniform(8.0, 12.0, len(ids)))
    return truth


def relax(store, name, truth, *, failing=2, seed=2):
    """Relax all that was sent to it, the last ones without success; some get an RS-DOS."""
    rng = np.random.default_rng(seed)
    campaign = Campaign.read(store, name)
    elements = load_hull(store, campaign.document["reference_set"]).elemental_energies
    bootstrap = list(store.candidates.find({"campaign": name, "role": "bootstrap"}).sort("_id"))
    sent = list(store.candidates.find({"campaign": name, "state": {"$in": ["promoted", "relax_running"]}}).sort("_id"))
    sent = [document for document in sent if document["role"] == "screened"]
    for document in [*bootstrap, *sent[: len(sent) - failing]]:
        composition = Composition(document["composition"])
        energy = truth.get(document["_id"], -0.1) * composition.num_atoms
        energy += sum(amount * elements[element.symbol] for element, amount in composition.items())
        facts = {"state": "relaxed", "relaxation.energy": energy, "relaxation.structure": document["structure"]}
        store.candidates.update_one({"_id": document["_id"]}, {"$set": facts})
    for document in sent[len(sent) - failing :]:
        failure = {"stage": "relax", "kind": "science", "error": "the relaxation did not converge", "time": now()}
        store.candidates.update_one(
            {"_id": document["_id"]}, {"$set": {"state": "relax_failed", "final_failure": failure}}
        )
    evaluate_relaxed(campaign, campaign.document["reference_set"])
    for document in sent[:6]:
        store.insert_missing(store.features, [features(document, "rs_dos", rng)])
        store.candidates.update_one({"_id": document["_id"]}, {"$set": {"rs_dos.state": "done"}})
    relaxed = [document["_id"] for document in [*bootstrap, *sent]]
    charge(store, name, relaxed, "relax", rng.uniform(80.0, 200.0, len(relaxed)))


def charge(store, name, documents, stage, seconds):
    """Write what calculations used into the ledger."""
    entries = [
        {
            **{"_id": f"{document}/{stage}.1", "campaign": name, "document": document, "stage": stage},
            **{"outcome": "completed", "cpu_s": float(cpu_s), "ended": now()},
        }
        for document, cpu_s in zip(documents, seconds, strict=True)
    ]
    store.insert_missing(store.attempts, entries)


def features(document, kind, rng):
    """A made-up DOS: a band for each orbital, at a place that the elements decide."""
    dos = np.zeros(DOS_SHAPE, dtype=np.float32)
    centre = -6.0 + 0.15 * (sum(map(ord, document["chemsys"])) % 40)
    shift = 0.2 if kind == "rs_dos" else 0.0
    for orbital in range(dos.shape[2]):
        place = centre + 0.5 * orbital + shift + rng.normal(0.0, 0.05)
        band = np.exp(-(((ENERGY_GRID - place) / 1.2) ** 2))
        dos[0, :, orbital], dos[1, :, orbital] = band, -band
    dos[np.abs(dos) < 1e-4] = 0.0
    encoded = DosFeatures.encode(
        dos, spacing=0.02, efermi=centre + 2.0 + shift, normalisation="atom", energy_reference="absolute"
    )
    about = {"_id": f"{document['_id']}:{kind}", "campaign": document["campaign"], "document": document["_id"]}
    return about | {"kind": kind, "composition": document["composition"]} | encoded.to_document()


def finished(store, launchpad, spec):
    """A whole campaign; return its name."""
    name = begin(store, launchpad, spec)
    relax(store, name, predict(store, name))
    store.campaigns.update_one({"_id": name}, {"$set": {"state": "finished", "ended": now()}})
    return name


def add_many(store, name, number, *, seed=3, relaxed_share=0.05, charged=True):
    """Add candidates in bulk, copies of those that are there with other predictions and results.

    They have no DOS, and only the relaxed ones have a structure; `charged`: each has an IS-DOS in the ledger.
    """
    rng = np.random.default_rng(seed)
    patterns = list(store.candidates.find({"campaign": name, "role": "screened", "prediction": {"$ne": None}}))
    e_form = rng.normal(0.05, 0.2, number)
    truth = e_form + rng.normal(0.0, 0.1, number)
    start = now()
    documents, ids = [], []
    for place in range(number):
        pattern = patterns[place % len(patterns)]
        document = {
            key: pattern[key] for key in ("campaign", "formula", "chemsys", "elements", "composition", "n_sites")
        }
        document |= {key: pattern[key] for key in ("prototype", "parent", "role", "calculation", "schema_version")}
        hull = float(e_form[place] + 0.1)
        promoted = bool(e_form[place] <= -0.02 and hull <= 0.13)
        relaxed = promoted and place % 100 < 100 * relaxed_share / 0.3
        document |= {
            "_id": f"{name}/bulk/{place:06d}",
            "state": "relaxed" if relaxed else "promoted" if promoted else "rejected",
            "history": [],
            "prediction": {
                "e_form_per_atom": float(e_form[place]),
                "e_above_hull": hull,
                "uncertainty": 0.1,
                "step": f"{name}/screen/1",
            },
            "decision": pattern["decision"]
            | {
                **{"promoted": promoted, "audit": False, "outcome": "promoted" if promoted else "rejected"},
                **{"reason": f"E_f(ML) = {e_form[place]:.3f}, E_hull(ML) = {hull:.3f} eV/atom"},
                **{"time": start + timedelta(seconds=place), "step": f"{name}/screen/1"},
            },
        }
        ids.append(document["_id"])
        if relaxed:
            document["structure"] = pattern["structure"]
            energies = {"e_form_per_atom": float(truth[place]), "e_above_hull": float(truth[place] + 0.1)}
            stable = energies["e_form_per_atom"] <= 0.0 and energies["e_above_hull"] <= 0.1
            document["result"] = energies | {"stable": stable}
        documents.append(document)
        if len(documents) == 5000:
            store.candidates.insert_many(documents)
            documents = []
    if documents:
        store.candidates.insert_many(documents)
    for first in range(0, number if charged else 0, 5000):
        part = ids[first : first + 5000]
        charge(store, name, part, "dos", np.full(len(part), 10.0))
