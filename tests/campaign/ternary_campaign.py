"""A campaign of three elements and its hull: references from a file, invented energies of the candidates."""

from pathlib import Path

import report_campaign
from pymatgen.core import Composition
from reference_entries import GPAW, entry, write

from campaign.references.reference_sets import load_hull
from campaign.store.campaigns import Campaign
from campaign.views.results import result_rows

#: eV for the formula; Al -3.5, Cu -3.7, Mg -1.6, Pd -5.2 eV an atom. AlCuMg2 is on the hull, AlCuMg is not.
KNOWN = {
    **{"Al4": -14.0, "Cu4": -14.8, "Mg2": -3.2, "AlCu": -7.6, "Al2Cu": -11.3, "Cu2Mg": -9.5, "CuMg2": -7.3},
    **{
        "Al12Mg17": -71.5,
        "Al3Mg2": -14.0,
        "Al2CuMg": -13.4,
        "AlCuMg": -8.9,
        "AlCuMg2": -11.6,
        "AlCu3": -14.4,
        "Pd": -5.2,
    },
}
ELEMENTS = ("Al", "Cu", "Mg")


def sections(folder: Path, *, hostile: str | None = None) -> dict:
    """Sections of the campaign file, with the entries written into a folder; `hostile`: the id of AlCuMg."""
    names = {formula: f"known-{formula}" for formula in KNOWN} | ({"AlCuMg": hostile} if hostile else {})
    entries = [entry(formula, energy, name=names[formula], **GPAW) for formula, energy in KNOWN.items()]
    return {
        "candidates": {"prototypes": ["B2", "L1_2", "C1_b", "L2_1"], "elements": [*ELEMENTS, "Pd"]},
        "references": {"entries": str(write(folder / "known.json", entries))},
        "policy": {"max_formation_energy": -0.02, "max_hull_energy": 0.3, "audit": 0.3},
        "model": {"bootstrap_size": 3},
    }


def finished(store, launchpad, small_spec, folder, *, hostile=None) -> str:
    """The campaign at its end; return its name."""
    spec = small_spec(name="ternary", **sections(folder, hostile=hostile))
    return report_campaign.finished(store, launchpad, spec)


def make_quaternary(store, name) -> None:
    """Put a fourth element into the least stable ternary candidate: no prototype of four is built in."""
    campaign = Campaign.read(store, name)
    ternary = {found["_id"] for found in store.candidates.find({"chemsys": "Al-Cu-Mg"})}
    last = [row for row in result_rows(campaign) if row.id in ternary and row.e_hull_dft is not None][-1]
    composition = {"Al": 2.0, "Cu": 1.0, "Mg": 1.0, "Pd": 1.0}
    e_form = -0.05
    distance = load_hull(store, campaign.reference_set).distances([Composition(composition)], [e_form])[0]
    facts = {"chemsys": "Al-Cu-Mg-Pd", "composition": composition, "formula": "MgAl2CuPd"}
    facts |= {"result.e_form_per_atom": e_form, "result.e_above_hull": float(distance)}
    store.candidates.update_one({"_id": last.id}, {"$set": facts})
