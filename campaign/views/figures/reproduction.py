"""Data needed to reproduce a campaign: its file, versions, checksums, settings and seed."""

import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ruamel.yaml import YAML

from campaign.store.campaigns import Campaign
from campaign.store.collections import CampaignStore
from campaign.store.listings import engine_versions, reference_set_summary
from campaign.store.models import training_versions
from esnet.files.versions import installed_versions

_PACKAGES = (
    *("esnet-campaign", "fireworks", "jobflow", "atomate2", "custodian", "pymatgen", "ase", "gpaw", "gpaw-data"),
    *("numpy", "scipy", "tensorflow", "tensorflow-cpu", "keras", "ray", "chgnet", "torch"),
)


@dataclass(frozen=True, kw_only=True)
class Reproduction:
    """Data needed to reproduce a campaign.

    Attributes
    ----------
    campaign_file
        The campaign file (YAML) with every default written out.
    facts
        ``(what, value)``: checksums, seed, engine's versions, times.
    versions
        ``(package, version)`` on the machine that made the report.
    """

    campaign_file: str
    facts: list[tuple[str, str]]
    versions: list[tuple[str, str]]


def reproduction(campaign: Campaign) -> Reproduction:
    """Return the data needed to reproduce a campaign."""
    return Reproduction(
        campaign_file=_yaml(campaign.spec.to_firework_dict()),
        facts=list(_facts(campaign)),
        versions=sorted(installed_versions(*_PACKAGES).items()),
    )


def _yaml(content: dict[str, Any]) -> str:
    yaml = YAML(typ="safe")
    yaml.default_flow_style = False
    yaml.sort_base_mapping_type_on_output = False
    yaml.allow_unicode = True
    text = io.StringIO()
    yaml.dump(content, text)
    return text.getvalue()


def _facts(campaign: Campaign) -> Iterator[tuple[str, str]]:
    document: Mapping[str, Any] = campaign.document
    spec = campaign.spec
    yield "seed", str(spec.seed)
    yield "engine", str(document.get("engine"))
    yield "quality", str(document.get("quality"))
    yield "DFT settings (SHA-256)", str(document.get("settings_hash") or spec.settings_hash)
    if document.get("structures_checksum"):
        yield "candidates and references (SHA-256)", str(document["structures_checksum"])
    yield "scorer", spec.scorer.describe()
    yield "policy", spec.policy.describe()
    yield from _model_facts(campaign.store, document)
    yield from _reference_facts(campaign.store, document.get("reference_set"))
    used = sorted(engine_versions(campaign))
    yield "engine versions in the results", ", ".join(used) or "none yet"
    for key, title in (("created", "started"), ("ended", "ended")):
        if isinstance(document.get(key), datetime):
            yield title, f"{document[key]:%Y-%m-%d %H:%M:%S} UTC"
    yield "schema version of the database", str(document["schema_version"])


def _model_facts(store: CampaignStore, document: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    models = document.get("models") or ([document["model"]] if document.get("model") else [])
    for number, model in enumerate(models, start=1):
        title = "model" if len(models) == 1 else f"model {number}"
        yield (
            f"{title} (SHA-256)",
            f"{model['checksum']} ({model.get('source')}, trained on {model.get('n_structures')} materials)",
        )
        if (versions := training_versions(store, model["checksum"])) is not None:
            listed = ", ".join(f"{name} {version}" for name, version in sorted(versions.items()))
            yield f"{title}: trained with", listed


def _reference_facts(store: CampaignStore, checksum: str | None) -> Iterator[tuple[str, str]]:
    if checksum is None:
        yield "reference set", "not frozen yet"
        return
    yield "reference set (SHA-256)", checksum
    found = reference_set_summary(store, checksum)
    if found is None:
        return
    parts = [f"{found['phases']} phases", f"source {found.get('source')}"]
    parts += [f"{key} {found[key]}" for key in ("functional", "corrections", "database_version") if found.get(key)]
    yield "reference set", ", ".join(parts)
    if found.get("sha256"):
        yield "file of references", f"{found.get('file_name')}, SHA-256 {found['sha256']}"
