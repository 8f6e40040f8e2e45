"""Energies of the elements that a campaign's potentials have given, kept for its later Screens."""

from collections.abc import Mapping
from typing import Any

from campaign.store.campaigns import Campaign

_FIELD = "element_energies"


def element_energies(campaign: Campaign) -> Mapping[str, Any]:
    """Return the kept energies in eV/atom, by a checksum of crystal, potential, versions and settings."""
    found = campaign.store.campaigns.find_one({"_id": campaign.name}, [_FIELD])
    return (found or {}).get(_FIELD) or {}


def keep_element_energies(campaign: Campaign, energies: Mapping[str, float]) -> None:
    """Keep further energies; Screens that relax the same crystal at the same time write the same ones."""
    named = {f"{_FIELD}.{key}": energy for key, energy in energies.items()}
    campaign.store.campaigns.update_one({"_id": campaign.name}, {"$set": named})
