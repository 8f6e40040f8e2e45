"""A candidate by its id, or by what a person would type: the beginning of its id, or formula and prototype."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from pymatgen.core import Composition

from campaign.store.campaigns import Campaign
from campaign.store.collections import CampaignStore
from esnet.files.errors import UserError

_SHOWN = 8


class UnknownCandidateError(UserError, LookupError):
    """No candidate is meant, or more than one; the message lists what is there."""


def read_document(store: CampaignStore, document_id: str, fields: Sequence[str] | None = None) -> dict[str, Any] | None:
    """Read a candidate or reference by its ``_id``, all of it or some fields; None if there is none."""
    return store.collection_of(document_id).find_one({"_id": document_id}, fields)


def find_candidate(campaign: Campaign, wanted: str) -> dict[str, Any]:
    """Return the one candidate that is meant.

    Parameters
    ----------
    campaign
        The campaign's collections, and its name.
    wanted
        ``_id`` or its beginning, a formula (``AlPd``, the elements in any order), or formula and prototype
        (``AlPd:B2``).

    Raises
    ------
    UnknownCampaignError
        If there is no such campaign.
    UnknownCandidateError
        If none or several are meant.
    """
    formula, _, prototype = wanted.partition(":")
    by_formula = {"formula": _reduced(formula)} | ({"prototype": prototype} if prototype else {})
    queries: list[dict[str, Any]] = [{"_id": wanted}, by_formula, {"_id": {"$regex": f"^{re.escape(wanted)}"}}]
    for query in queries:
        found = list(campaign.store.candidates.find({"campaign": campaign.name, **query}).limit(_SHOWN + 1))
        if len(found) == 1:
            return found[0]
        if found:
            listed = ", ".join(f"{each['formula']}:{each['prototype']} ({each['_id']})" for each in found[:_SHOWN])
            more = " and others" if len(found) > _SHOWN else ""
            raise UnknownCandidateError(
                f"campaign {campaign.name!r} has several candidates {wanted!r}: {listed}{more}; "
                "right: formula:prototype, or the id"
            )
    example = campaign.store.candidates.find_one({"campaign": campaign.name}, ["formula", "prototype"]) or {}
    shown = f", e.g. {example['formula']}:{example['prototype']}" if example else ""
    raise UnknownCandidateError(
        f"campaign {campaign.name!r} has no candidate {wanted!r}; right: an id, its beginning, a formula, or "
        f"formula:prototype{shown} (see `campaign results {campaign.name}`)"
    )


def _reduced(formula: str) -> str:
    """A formula as candidates have it, whatever the order of its elements; what is none stays as it is."""
    try:
        return str(Composition(formula).reduced_formula)
    except ValueError:
        return formula
