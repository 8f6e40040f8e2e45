"""The scoring context that a Screen passes to its scorer, backed by the database."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pymatgen.core import Structure

from campaign.candidates.elements import reference_structure
from campaign.scorers.base import ActorSettings, Score
from campaign.scorers.combined import Part
from campaign.steps.energies import known_parts, single_point_energies
from campaign.store.campaigns import Campaign
from campaign.store.candidates import candidates_by_id, element_phases
from campaign.store.collections import in_chunks
from campaign.store.features import FeatureReader
from campaign.store.models import fetch_bundle
from campaign.store.reuse.element_energies import element_energies, keep_element_energies
from esnet.representation.features import Representation
from esnet.scoring.scoring import Usage
from launchers.database.settings import DatabaseSettings

_AT_ONCE = 64


@dataclass(frozen=True, kw_only=True)
class StoredScoringContext:
    """The `campaign.scorers.base.ScoringContext` of a campaign in the database.

    Attributes
    ----------
    campaign
        Provides settings, model and reference set.
    database
        Connection settings for other processes.
    step_id
        Id of the Screen, e.g. ``alloys/screen/0``; None outside one.
    on_usage
        Called with the usage of other processes (Ray's actors) and of GPUs, for the ledger.
    """

    campaign: Campaign
    database: DatabaseSettings
    on_usage: Callable[[Usage], None]
    step_id: str | None = None

    @property
    def actors(self) -> ActorSettings:
        """Settings of the Ray actors."""
        return self.campaign.spec.screening

    def structures(self, ids: Sequence[str]) -> Iterator[tuple[str, Structure]]:
        """Yield id and unrelaxed crystal of each candidate, in no particular order."""
        # in chunks: MongoDB drops a cursor unused for ten minutes
        for part in in_chunks(ids, _AT_ONCE):
            for name, document in candidates_by_id(self.campaign.store, part, ["structure"]).items():
                yield name, Structure.from_dict(document["structure"])

    def element_structures(self, symbol: str) -> list[Structure]:
        """Return the unrelaxed crystals of an element: the campaign's reference phases, otherwise the built-in one.

        Raises
        ------
        campaign.candidates.elements.MissingReferenceError
            If there is neither.
        """
        found = [Structure.from_dict(structure) for structure in element_phases(self.campaign, symbol)]
        return found or [reference_structure(symbol, built_in=self.campaign.spec.built_in)]

    def single_points(self, ids: Sequence[str]) -> Iterator[Score]:
        """Yield the formation energy of each unrelaxed crystal by its IS-DOS calculation, or why there is none."""
        yield from single_point_energies(self.campaign, ids)

    def kept_energies(self) -> Mapping[str, Any]:
        """Energies of the elements that earlier Screens have relaxed."""
        return element_energies(self.campaign)

    def keep_energies(self, energies: Mapping[str, float]) -> None:
        """Keep energies of the elements for later Screens."""
        keep_element_energies(self.campaign, energies)

    def bundle(self) -> Path:
        """Folder of the campaign's model on this machine, fetched if necessary."""
        return fetch_bundle(self.campaign.store, self.campaign.model["checksum"])

    def scorer_bundle(self, path: Path) -> Path:
        """Return the folder on this machine of a graph model named by the scorer, fetched if necessary."""
        return fetch_bundle(self.campaign.store, self.campaign.scorer_bundle(path)["checksum"])

    def representation(self) -> Representation:
        """Representation of the campaign's features."""
        return self.campaign.spec.representation()

    def feature_reader(self) -> FeatureReader:
        """Reader of IS-DOS and compositions by id; can be pickled."""
        composition = self.campaign.model["representation"]["composition"]
        return FeatureReader(database=self.database, kind="dos", composition=composition)

    def known_parts(self, ids: Sequence[str]) -> Mapping[str, Mapping[int, Part]]:
        """Return the stored scores of a combination's members, see `campaign.steps.energies.known_parts`."""
        return known_parts(self.campaign, ids)
