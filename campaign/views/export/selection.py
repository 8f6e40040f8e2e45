"""Selection and file names of the candidates to export."""

import re
from collections.abc import Iterable, Iterator
from typing import Literal

from pymatgen.core import Lattice, Structure

from campaign.store.campaigns import Campaign
from campaign.store.collections import Document
from campaign.store.states import CandidateState
from campaign.views.results import Row, result_rows
from esnet.files.errors import UserError

Which = Literal["stable", "relaxed", "all"]
_LONGEST_LABEL = 60


class NothingToExportError(UserError, LookupError):
    """No candidate is of the requested kind."""


def selected_rows(campaign: Campaign, which: Which) -> list[Row]:
    """Return the rows of stable, relaxed or all candidates, in the order of ``campaign results``.

    Raises
    ------
    NothingToExportError
        If there is none; the message gives the existing numbers.
    """
    rows = result_rows(campaign)
    relaxed = [row for row in rows if row.state == CandidateState.RELAXED]
    found = {"all": rows, "relaxed": relaxed, "stable": [row for row in relaxed if row.stable]}[which]
    if not found:
        raise NothingToExportError(
            f"campaign {campaign.name!r} has no {'' if which == 'all' else which} candidate: {len(rows)} in all, "
            f"{len(relaxed)} relaxed. See `campaign status {campaign.name}`"
        )
    return found


def file_names(rows: Iterable[tuple[Row, str]]) -> Iterator[str]:
    """Yield a file name without ending for each row: formula, label and the hashes of the candidate's id.

    Letters, digits, ``.``, ``+``, ``-`` and ``_`` only, and no two alike where a file system ignores case.

    Parameters
    ----------
    rows
        Each with its label, as a user's files have given it.
    """
    taken: set[str] = set()
    for row, label in rows:
        name = file_name(row.formula, label, row.id)
        unique, number = name, 1
        while unique.casefold() in taken:
            number += 1
            unique = f"{name}_{number}"
        taken.add(unique.casefold())
        yield unique


def file_name(formula: str, label: str, candidate: str) -> str:
    """Return the file name without suffix of one candidate; see `file_names`."""
    words = (formula, label[:_LONGEST_LABEL], "-".join(candidate.rsplit("-", 2)[1:]) or candidate)
    return "_".join(re.sub(r"[^A-Za-z0-9.+-]+", "_", word) for word in words).lstrip(".-")


def plain_structure(content: Document) -> Structure:
    """Return a stored crystal as elements on sites, without magnetic moments, velocities or other properties."""
    species = [site["species"][0]["element"] for site in content["sites"]]
    return Structure(Lattice(content["lattice"]["matrix"]), species, [site["abc"] for site in content["sites"]])
