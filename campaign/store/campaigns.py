"""Campaigns as stored in the database."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self, cast

from fireworks import LaunchPad

from campaign.spec.campaign_spec import CampaignSpec
from campaign.spec.stored_spec import read_stored_spec
from campaign.store.collections import OUR_CAMPAIGNS, SCHEMA_VERSION, CampaignStore
from campaign.store.documents import CampaignDocument, ModelSummary, ScorerBundle, StopKind
from campaign.store.fireworks import fizzled_reason
from campaign.store.migration import migrate
from campaign.store.states import CampaignState
from esnet.files.errors import UserError


class UnknownCampaignError(UserError, LookupError):
    """There is no campaign of that name in this database."""


class CampaignIsDeletedError(UnknownCampaignError):
    """The campaign's deletion has started and is not complete."""


class SchemaVersionError(UserError, ValueError):
    """The campaign was written by another version of this program."""


class ImportUnderWayError(UserError, RuntimeError):
    """The campaign's import is under way or was interrupted; the message says how to complete it."""


class ForeignDocumentError(UserError, ValueError):
    """A document of another program is in the place of a campaign; the message names it."""


@dataclass(frozen=True, kw_only=True)
class Campaign:
    """A stored campaign, as of the time it was read.

    Attributes
    ----------
    store
        The campaign collections of its database.
    spec
        The user's settings, including later changes by `campaign set`; the budget in force is in the document.
    document
        The campaign's document: state, model, reference set, counts.
    """

    store: CampaignStore
    spec: CampaignSpec
    document: CampaignDocument

    @classmethod
    def read(cls, store: CampaignStore, name: str) -> Campaign:
        """Read a campaign; nothing is written.

        Raises
        ------
        UnknownCampaignError
            If there is no such campaign; lists the existing ones.
        SchemaVersionError
            If it was written by another version of this program.
        StoredSpecError
            If its settings are invalid.
        """
        document = _read_document(store, name)
        spec = read_stored_spec(name, document.get("spec"), document.get("settings"))
        return Campaign(store=store, spec=spec, document=document)

    @property
    def name(self) -> str:
        """Name of the campaign."""
        return self.spec.name

    @property
    def model_checksum(self) -> str | None:
        """Checksum of the campaign's ESNet; None if it has none."""
        model = self.document.get("model")
        return None if model is None else model["checksum"]

    @property
    def model(self) -> ModelSummary:
        """Description of the campaign's ESNet, from its document.

        Raises
        ------
        LookupError
            If the campaign has none yet.
        """
        model = self.document.get("model")
        if model is None:
            raise LookupError(f"campaign {self.name!r} has no model yet")
        return model

    @property
    def model_corrections(self) -> str | None:
        """Corrections in the energies of the campaign's ESNet, ``none`` or ``mp2020``; None if unknown."""
        model = self.document.get("model")
        return (model and model.get("corrections")) or self.spec.model.corrections

    def scorer_bundle(self, path: Path) -> ScorerBundle:
        """Return the stored description of a graph model that the campaign's scorer names.

        Raises
        ------
        LookupError
            If no model from this path is stored.
        """
        for bundle in self.document.get("scorer_bundles") or []:
            if bundle["path"] == str(path):
                return bundle
        raise LookupError(f"campaign {self.name!r} has stored no model of its scorer from {path}")

    @property
    def reference_set(self) -> str:
        """Checksum of the campaign's frozen reference set.

        Raises
        ------
        LookupError
            If it is not frozen yet.
        """
        checksum = self.document.get("reference_set")
        if checksum is None:
            raise LookupError(f"the reference set of campaign {self.name!r} is not frozen yet")
        return checksum

    @property
    def stop_kind(self) -> StopKind | None:
        """Why the campaign submits no more work, or None."""
        stop = self.document.get("stopped")
        return None if stop is None else stop.get("kind", "failures")

    @property
    def is_halted(self) -> bool:
        """Whether no work may start: the campaign is paused, stopped or archived."""
        return bool(self.document.get("stopped") or self.document.get("archived"))

    def refresh(self) -> Self:
        """Reread the campaign's document, and its settings if they have changed."""
        document = _read_document(self.store, self.name)
        if document.get("settings") == self.document.get("settings"):
            return replace(self, document=document)
        spec = read_stored_spec(self.name, document.get("spec"), document.get("settings"))
        return replace(self, document=document, spec=spec)


@dataclass(frozen=True, kw_only=True)
class OpenCampaign(Campaign):
    """A campaign opened for writing.

    Attributes
    ----------
    launchpad
        FireWorks' LaunchPad on the same database.
    """

    launchpad: LaunchPad

    @classmethod
    def open(cls, store: CampaignStore, launchpad: LaunchPad, name: str, *, dry_run: bool = False) -> Self:
        """Open a campaign for writing, migrating one of an earlier version.

        Parameters
        ----------
        dry_run
            Write nothing; for operations that only report their effect.

        Raises
        ------
        UnknownCampaignError
            If there is no such campaign; lists the existing ones.
        SchemaVersionError
            If it was written by a newer version of this program; with ``dry_run``, by an earlier one.
        """
        if not dry_run:
            migrate(store, name)
        found = Campaign.read(store, name)
        return cls(store=store, launchpad=launchpad, spec=found.spec, document=found.document)


def campaign_exists(store: CampaignStore, name: str) -> bool:
    """Whether there is a campaign of that name.

    Raises
    ------
    ForeignDocumentError
        If another program's document has that name.
    CampaignIsDeletedError
        If it is being deleted.
    """
    document = store.campaigns.find_one({"_id": name}, [*OUR_CAMPAIGNS, "state"])
    if document is not None:
        _refuse_foreign(store, document)
        _refuse_deleted(document)
    return document is not None


def campaign_names(store: CampaignStore) -> list[str]:
    """Return the names of all campaigns of the database in alphabetical order."""
    return sorted(found["_id"] for found in store.campaigns.find(OUR_CAMPAIGNS, ["_id"]))


def _refuse_foreign(store: CampaignStore, document: Mapping[str, Any]) -> None:
    if not all(isinstance(document.get(field), int | float) for field in OUR_CAMPAIGNS):
        raise ForeignDocumentError(
            f"the document {document['_id']!r} in the collection campaigns of the database {store.database.name} is "
            "not a campaign: it has no schema_version and n_screened. It belongs to another program, or is damaged; "
            "give the campaign another name, or preferably use a separate database (`name` in my_launchpad.yaml)"
        )


def _refuse_deleted(document: Mapping[str, Any]) -> None:
    if document.get("state") == CampaignState.DELETING:
        name = document["_id"]
        raise CampaignIsDeletedError(
            f"campaign {name!r} is being deleted, and part of it is gone: `campaign delete {name}` completes the "
            "deletion, after which the name is free"
        )


def reopen_campaign(campaign: OpenCampaign) -> None:
    """Set a campaign to running again and discard its problem and its report, which is submitted again at the end."""
    campaign.store.steps.delete_one({"_id": f"{campaign.name}/report"})
    # the state of a campaign being deleted meanwhile is kept
    ours = {"_id": campaign.name, "state": {"$in": [CampaignState.RUNNING, CampaignState.FINISHED]}}
    campaign.store.campaigns.update_one(ours, {"$set": {"state": CampaignState.RUNNING}, "$unset": {"problem": ""}})


def _refuse_unstarted(store: CampaignStore, name: str) -> None:
    """Raise an error with the state of a campaign file submitted with `lpad add` that has not started."""
    query = {"name": name, "spec.campaign": {"$exists": True}}
    firework = store.database["fireworks"].find_one(query, ["fw_id", "state", "launches"], sort=[("fw_id", -1)])
    if firework is None:
        return
    if firework["state"] == "FIZZLED":
        why = fizzled_reason(store.database, firework)
        raise UnknownCampaignError(
            f"campaign {name!r} was rejected by its StartCampaign (firework {firework['fw_id']}): {why}"
        )
    raise UnknownCampaignError(
        f"campaign {name!r} has not started: its StartCampaign (firework {firework['fw_id']}) is {firework['state']}; "
        "run `rlaunch rapidfire`, on a cluster `campaign cluster run`"
    )


def _read_document(store: CampaignStore, name: str) -> CampaignDocument:
    document = store.campaigns.find_one({"_id": name})
    if document is None:
        _refuse_unstarted(store, name)
        known = campaign_names(store)
        there = f"this database has {', '.join(known)}" if known else "this database has none"
        raise UnknownCampaignError(f"there is no campaign {name!r}: {there}")
    _refuse_foreign(store, document)
    _refuse_half_imported(document)
    _refuse_deleted(document)
    if document["schema_version"] > SCHEMA_VERSION:
        raise SchemaVersionError(
            f"campaign {name!r} was written with schema version {document['schema_version']}; "
            f"this program knows versions up to {SCHEMA_VERSION}: update esnet-campaign"
        )
    if document["schema_version"] < SCHEMA_VERSION:
        raise SchemaVersionError(
            f"campaign {name!r} was written by an earlier version of esnet-campaign (schema version "
            f"{document['schema_version']}, now {SCHEMA_VERSION}); when none of its workers is running, `campaign "
            f"reconcile {name}` migrates it"
        )
    return cast("CampaignDocument", document)


def find_start_settings(store: CampaignStore, name: str) -> CampaignDocument | None:
    """Return the spec, structures and models that a campaign was started with, and the settings changed since.

    None if there is no campaign of that name.

    Raises
    ------
    ForeignDocumentError
        If another program's document has that name.
    """
    if not campaign_exists(store, name):
        return None
    fields = ["spec", "structures_checksum", "models", "sources", "settings", "budget", "state", "imported.file"]
    fields += ["additions.id", "imported_references", "scorer_bundles"]
    found = cast("CampaignDocument | None", store.campaigns.find_one({"_id": name}, fields))
    if found is not None:
        _refuse_half_imported(found)
    return found


def _refuse_half_imported(document: Mapping[str, Any]) -> None:
    if document.get("state") == CampaignState.IMPORTING:
        file = (document.get("imported") or {}).get("file")
        raise ImportUnderWayError(
            f"campaign {document['_id']!r} is being imported from {file}, or its import was interrupted: `campaign "
            f"import {file}` completes it; nothing of it starts before that"
        )


def insert_campaign(store: CampaignStore, document: CampaignDocument) -> None:
    """Insert a campaign; an existing one of that name is left unchanged."""
    store.insert_missing(store.campaigns, [document])


def mark_as_running(store: CampaignStore, name: str) -> None:
    """Set a campaign to running once all its documents are stored."""
    store.campaigns.update_one(
        {"_id": name, "state": CampaignState.STARTING}, {"$set": {"state": CampaignState.RUNNING}}
    )


def write_first_model(campaign: Campaign, model: ModelSummary) -> None:
    """Give a campaign its first model, unless it has one."""
    campaign.store.campaigns.update_one(
        {"_id": campaign.name, "model": None}, {"$set": {"model": model, "models": [model]}}
    )


def replace_model(campaign: Campaign, model: ModelSummary, *, previous: ModelSummary) -> None:
    """Make a model the campaign's and append it to the list of its models; once per step that made it."""
    campaigns, name = campaign.store.campaigns, campaign.name
    # a campaign started by an earlier version has no list
    campaigns.update_one({"_id": name, "models.0": {"$exists": False}}, {"$set": {"models": [previous]}})
    campaigns.update_one(
        {"_id": name, "model.checksum": previous["checksum"], "models.step": {"$ne": model["step"]}},
        {"$set": {"model": model}, "$push": {"models": model}},
    )
