"""Data set from the computed DOS of a campaign and the formation energies of its relaxed crystals."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

from pymatgen.core import Structure

from campaign.attempts.blocked import blocked
from campaign.hull.corrections import relaxed_fields
from campaign.references.reference_sets import correction_scheme, relaxed_formation_energies
from campaign.steps.energies import single_point_energies
from campaign.store.campaigns import Campaign
from campaign.store.collections import Document, in_chunks
from campaign.store.counts import count_references
from campaign.store.features import features_of_campaign
from campaign.store.listings import crystals_of, open_references, relaxed_structures
from esnet.dataset.dataset import DatasetError, DatasetManifest, DatasetWriter, DosKind, Filters, Sample
from esnet.residual.single_point import SINGLE_POINT_ENERGY
from workflows.dos import DosFeatures

_KINDS: Mapping[str, DosKind] = {"dos": "is_dos", "rs_dos": "rs_dos"}
"""By the kind of the features, which is also the name of the document's field."""
_AT_ONCE = 64
"""Number of DOS whose crystals are read together."""
_FACTS = ("engine", "quality", "vasp_version", "fw_id", "smearing_changed", "kpoints_changed", "cpu_s")
_FIELDS = [
    *("role", "composition", "chemsys", "prototype", "relaxation.energy", "relaxation.fw_id", "relaxation.cpu_s"),
    *(f"{field}.{fact}" for field in _KINDS.values() for fact in _FACTS),
]


@dataclass(frozen=True, kw_only=True)
class _Structure:
    """A relaxed candidate or reference: its document without the structures, and its formation energy in eV/atom."""

    document: Document
    energy: float


def write_training_data(
    campaign: Campaign,
    path: Path,
    *,
    filters: Filters = Filters(),  # noqa: B008
) -> DatasetManifest:
    """Write all structures of a campaign that have a DOS and a relaxed energy as a data set.

    Candidates of every role and the references count. A candidate with an IS-DOS and an RS-DOS gives two samples of
    one material. Formation energies refer to the campaign's frozen reference set. The campaign may keep running: data
    recorded by then are written. The manifest's source says how many DOS have no target, because their structure is not
    relaxed, and how many relaxed structures have no DOS.

    Returns
    -------
    DatasetManifest
        The written and the omitted data.

    Raises
    ------
    DatasetError
        If the reference set is not frozen yet (the message says why), nothing is relaxed yet, features
        are damaged or of another representation.
    DatasetExistsError
        If ``path`` exists.
    """
    structures = _relaxed(campaign)
    source = {
        **campaign.spec.data_source(),
        "corrections": correction_scheme(campaign.store, campaign.reference_set),
        "reference_set": campaign.document["reference_set"],
        "settings_hash": campaign.document["settings_hash"],
        "relaxed": len(structures),
        "states": dict(sorted(campaign.store.state_counts(campaign.name).items())),
    }
    with DatasetWriter(path, representation=campaign.spec.representation(), filters=filters, source=source) as writer:
        with_dos: set[str] = set()
        without_target = 0
        for part in in_chunks(features_of_campaign(campaign), _AT_ONCE):
            crystals = _crystals(campaign, {features["document"] for features in part} & set(structures))
            unrelaxed = _unrelaxed_energies(campaign, part)
            for features in part:
                structure = structures.get(features["document"])
                if structure is None:
                    without_target += 1
                    continue
                with_dos.add(features["document"])
                sample = _sample(campaign, structure, features, unrelaxed.get(features["document"]))
                initial, relaxed = crystals[features["document"]]
                writer.add(replace(sample, initial_structure=initial, relaxed_structure=relaxed))
        writer.source |= {"relaxed_without_dos": len(structures) - len(with_dos), "dos_without_target": without_target}
    return DatasetManifest.read(path)


def _relaxed(campaign: Campaign) -> dict[str, _Structure]:
    """Return relaxed candidates and references by id, without those that the references' corrections cannot treat."""
    if (reference_set := campaign.document.get("reference_set")) is None:
        raise DatasetError(_waits_for(campaign))
    needed = [*_FIELDS, *relaxed_fields(correction_scheme(campaign.store, reference_set))]
    found = relaxed_structures(campaign, sorted(set(needed)))
    energies = relaxed_formation_energies(campaign.store, reference_set, found)
    for document in found:
        document["relaxation"].pop("structure", None)  # needed for the corrections only
    return {
        document["_id"]: _Structure(document=document, energy=energies[document["_id"]])
        for document in found
        if document["_id"] in energies
    }


def _crystals(campaign: Campaign, ids: Iterable[str]) -> dict[str, tuple[Structure | None, Structure | None]]:
    """Return the unrelaxed and the relaxed crystal of each document."""
    return {
        name: (_decoded(initial), _decoded(relaxed))
        for name, (initial, relaxed) in crystals_of(campaign, sorted(ids)).items()
    }


def _decoded(stored: Document | None) -> Structure | None:
    return None if stored is None else Structure.from_dict(stored)


def _waits_for(campaign: Campaign) -> str:
    name = campaign.name
    if (found := blocked(campaign)) is not None:
        return f"campaign {name!r} has no formation energies: {found}"
    phases = count_references(campaign)
    open_phases = [str(document.get("label", document["_id"])) for document in open_references(campaign)]
    which = f" ({', '.join(open_phases[:20])}{' ...' if len(open_phases) > 20 else ''})" if open_phases else ""
    return (
        f"campaign {name!r} has no formation energies yet: its reference set is frozen when all {phases} reference "
        f"phases are computed, but {len(open_phases)} of them are not{which}. Let the campaign continue (`campaign "
        f"status {name}`), then repeat this command"
    )


def _sample(campaign: Campaign, structure: _Structure, stored: Mapping[str, Any], unrelaxed: float | None) -> Sample:
    document, stage = structure.document, stored["kind"]
    features = DosFeatures.from_document(stored)
    representation = campaign.spec.representation()
    wanted = (representation.normalisation, representation.energy_reference)
    if (features.normalisation, features.energy_reference) != wanted:
        raise DatasetError(
            f"features {stored['_id']} were made with {features.normalisation}, {features.energy_reference}; "
            f"the campaign's representation is {', '.join(wanted)}"
        )
    try:
        dos = features.decode()
    except ValueError as error:
        remedy = f"`campaign reconcile {campaign.name}` restores them from the JobStore"
        raise DatasetError(f"features {stored['_id']}: {error}; {remedy}") from error
    facts = document.get(_KINDS[stage]) or {}
    efermi = features.efermi
    if features.energy_reference == "fermi":
        efermi = 0.0
    return Sample(
        id=f"{document['_id']}:{_KINDS[stage]}",
        material=document["_id"],
        kind=_KINDS[stage],
        dos=dos,
        composition=document["composition"],
        energy=structure.energy,
        efermi=efermi,
        spacing=features.spacing,
        chemsys=document["chemsys"],
        prototype=document.get("prototype") or "",
        provenance={
            "campaign": campaign.name,
            "document": document["_id"],
            "role": document["role"],
            "features": stored["_id"],
            "engine": stored["engine"],
            "quality": stored["quality"],
            "settings_hash": campaign.document["settings_hash"],
            "reference_set": campaign.document["reference_set"],
            "vasp_version": facts.get("vasp_version"),
            "smearing_changed": facts.get("smearing_changed"),
            "kpoints_changed": facts.get("kpoints_changed"),
            "fw_id": facts.get("fw_id"),
            "cpu_s": facts.get("cpu_s"),
            "relaxation_cpu_s": cast("dict[str, Any]", document["relaxation"]).get("cpu_s"),
            "relaxation_fw_id": cast("dict[str, Any]", document["relaxation"]).get("fw_id"),
            **({SINGLE_POINT_ENERGY: unrelaxed} if stage == "dos" and unrelaxed is not None else {}),
        },
    )


def _unrelaxed_energies(campaign: Campaign, part: Iterable[Mapping[str, Any]]) -> dict[str, float]:
    """Return the known formation energies of unrelaxed crystals by their IS-DOS calculations, eV/atom."""
    ids = [features["document"] for features in part if features["kind"] == "dos"]
    return {found.id: found.e_form for found in single_point_energies(campaign, ids) if found.e_form is not None}
