"""Stored densities of states of a campaign, for inspection and prediction."""

import os
from collections.abc import Mapping, Sequence

from campaign.scorers.esnet import add_single_points
from campaign.steps.energies import single_point_energies
from campaign.store.campaigns import Campaign
from campaign.store.candidates import UnknownCandidateError, candidates_by_id, find_candidate
from campaign.store.collections import in_chunks
from campaign.store.features import DamagedFeaturesError, decode_features, read_features
from campaign.store.listings import iterate_candidates
from campaign.store.models import fetch_bundle
from esnet.api import network_outputs
from esnet.bundle.bundle import Bundle
from esnet.bundle.info import BundleInfo
from esnet.bundle.record import SINGLE_POINT
from esnet.bundle.shipped import bundle_folder, shipped_bundles
from esnet.files.errors import UserError
from esnet.representation.grid_dos import GridDos
from esnet.scoring.prediction import Prediction

_AT_ONCE = 256
"""Number of densities of states in memory together, 108 kB each."""
_SHOWN = 5


class NoDosOfCandidateError(UserError, LookupError):
    """A candidate's density of states is not computed or cannot be read; the message names the candidate."""


class NoModelError(UserError, LookupError):
    """A campaign has no model to predict with."""


def stored_dos(campaign: Campaign, candidate: str, *, relaxed: bool = False) -> GridDos:
    """Return the IS-DOS, or the RS-DOS, of a candidate (`campaign.store.candidates.find_candidate`)."""
    document = find_candidate(campaign, candidate)
    found = _read(campaign, [document["_id"]], relaxed=relaxed)[document["_id"]]
    if isinstance(found, str):
        raise NoDosOfCandidateError(f"candidate {document['_id']} ({document['formula']}): {found}")
    return found


def predict_stored(
    campaign: Campaign, bundle: Bundle | str | os.PathLike[str] | None, candidates: Sequence[str] | None
) -> list[Prediction]:
    """Return predictions from the stored IS-DOS of the candidates, or of all that have one."""
    model = bundle if isinstance(bundle, Bundle) else _open(_own_model(campaign) if bundle is None else bundle)
    model.info.require_formation_energies(SINGLE_POINT)
    model.representation.require(campaign.spec.representation())
    if candidates is None:
        known = iterate_candidates(campaign, ["is_dos.features"])
        ids = sorted(document["_id"] for document in known if (document.get("is_dos") or {}).get("features"))
    else:
        ids = list(candidates)
    predicted: list[Prediction] = []
    for part in in_chunks(ids, _AT_ONCE):
        found = _read(campaign, part)
        usable = [dos for dos in found.values() if isinstance(dos, GridDos)]
        outputs = network_outputs(model, usable)
        if model.record.adds_single_point:
            outputs = list(add_single_points(outputs, single_point_energies(campaign, [dos.name for dos in usable])))
        said = {prediction.id: prediction for prediction in outputs}
        predicted += [
            Prediction(id=name, e_form=None, reason=dos) if isinstance(dos := found[name], str) else said[name]
            for name in part
        ]
    return predicted


def _open(bundle: str | os.PathLike[str]) -> Bundle:
    return Bundle.load(bundle_folder(os.fspath(bundle)), residual=SINGLE_POINT)


def _own_model(campaign: Campaign) -> os.PathLike[str]:
    """Return the folder of the campaign's model, which may ship with the package."""
    checksum = campaign.model_checksum
    if checksum is None:
        raise NoModelError(
            f"campaign {campaign.name!r} has no model; right: the folder of a bundle, or a shipped one "
            f"({', '.join(shipped_bundles())})"
        )
    shipped = [path for path in shipped_bundles().values() if BundleInfo.read(path, residual=True).checksum == checksum]
    return shipped[0] if shipped else fetch_bundle(campaign.store, checksum)


def _read(campaign: Campaign, ids: Sequence[str], *, relaxed: bool = False) -> Mapping[str, GridDos | str]:
    """Return the density of each candidate, or the reason why there is none."""
    kind, stage = ("rs_dos", "RS-DOS") if relaxed else ("dos", "IS-DOS")
    known = candidates_by_id(campaign.store, ids, ["campaign", "state", "composition"])
    unknown = [name for name in ids if name not in known or known[name]["campaign"] != campaign.name]
    if unknown:
        more = f" and {len(unknown) - _SHOWN} more" if len(unknown) > _SHOWN else ""
        raise UnknownCandidateError(
            f"campaign {campaign.name!r} has no candidate {', '.join(unknown[:_SHOWN])}{more}; right: ids as in "
            f"`campaign results {campaign.name} --format json`"
        )
    stored = {document["_id"]: document for document in read_features(campaign.store, [f"{i}:{kind}" for i in ids])}
    found: dict[str, GridDos | str] = {}
    for name in ids:
        document = stored.get(f"{name}:{kind}")
        if document is None:
            found[name] = f"its {stage} is not computed; its state is {known[name]['state']}"
            continue
        try:
            channels, _ = decode_features(document)
        except DamagedFeaturesError as error:
            found[name] = f"{error}; right: `campaign reconcile {campaign.name}`, which repairs them"
            continue
        reference = document["energy_reference"]
        found[name] = GridDos(
            name=name,
            composition={symbol: float(amount) for symbol, amount in document["composition"].items()},
            channels=channels,
            efermi=0.0 if reference == "fermi" else document.get("efermi"),
            normalisation=document["normalisation"],
            energy_reference=reference,
            engine=document.get("engine"),
        )
    return found
