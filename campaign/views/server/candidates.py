"""Pages of single candidates, and their crystals as CIF."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from campaign.hull.hull import HullSet
from campaign.references.reference_sets import hull_of_set, stored_set
from campaign.store.campaigns import Campaign
from campaign.store.candidates import UnknownCandidateError, find_candidate
from campaign.store.collections import CampaignStore
from campaign.store.documents import CandidateDocument
from campaign.views.candidate.crystal import WHICH, cif_file
from campaign.views.candidate.data import read_candidate
from campaign.views.candidate.page import render_candidate

if TYPE_CHECKING:
    from campaign.views.candidate.crystal import Which


class CandidatePages:
    """Pages of candidates, made per request; thread-safe."""

    def __init__(self, store: CampaignStore) -> None:
        self.store = store
        self._set: tuple[str, Mapping[str, Any]] | None = None
        self._reading = threading.Lock()

    def find(self, campaign: str, wanted: str) -> tuple[Campaign, CandidateDocument]:
        """Return a candidate by its id, its name in its source, or whatever `campaign explain` takes.

        Raises
        ------
        UnknownCampaignError, UnknownCandidateError
            If there is none, or the name is ambiguous.
        """
        found = Campaign.read(self.store, campaign)
        return found, find_candidate(found, wanted)

    def page(self, campaign: Campaign, document: CandidateDocument) -> str:
        """Return a candidate's page as HTML."""

        def hull_of(elements: Sequence[str]) -> HullSet | None:
            checksum = campaign.document.get("reference_set")
            return None if checksum is None else hull_of_set(self._reference_set(checksum), elements=elements)

        return render_candidate(read_candidate(campaign, document, hull_of=hull_of))

    def cif(self, campaign: str, which: str, wanted: str) -> tuple[str, str]:
        """Return the file name and the CIF of a candidate's crystal.

        Raises
        ------
        UnknownCampaignError, UnknownCandidateError, NoCrystalError
            If there is none.
        """
        kinds: dict[str, Which] = {kind: kind for kind in WHICH}
        _, document = self.find(campaign, wanted)
        if which not in kinds:
            raise UnknownCandidateError(f"a candidate has an {' and a '.join(WHICH)} crystal; found {which!r}")
        return cif_file(document, kinds[which])

    def _reference_set(self, checksum: str) -> Mapping[str, Any]:
        """Return a frozen set; the last one is cached, since it never changes and a large one is slow to read."""
        with self._reading:
            if self._set is None or self._set[0] != checksum:
                self._set = checksum, stored_set(self.store, checksum)
            return self._set[1]
