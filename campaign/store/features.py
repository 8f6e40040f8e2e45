"""Features in MongoDB: read by id, of a whole campaign, and in a scoring actor."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from campaign.store.campaigns import Campaign
from campaign.store.collections import CampaignStore, Document
from esnet.representation.composition import CompositionMode, composition_vector
from esnet.representation.dos import DOS_SHAPE
from launchers.database.settings import DatabaseSettings
from workflows.dos import DosFeatures

#: Documents that MongoDB hands over together: one of features has about 100 kB.
_BATCH = 64


def read_features(store: CampaignStore, ids: Sequence[str], fields: Sequence[str] | None = None) -> Iterable[Document]:
    """Iterate over the features of these ids (``candidate:dos`` or ``candidate:rs_dos``), in no particular order.

    Ids without features are left out. Some fields are read, or all if none are given.
    """
    return store.features.find({"_id": {"$in": list(ids)}}, fields)


def features_of_campaign(campaign: Campaign) -> Iterator[Document]:
    """Yield every stored DOS of a campaign, in the order of their ids."""
    with campaign.store.features.find({"campaign": campaign.name}, batch_size=_BATCH).sort("_id") as cursor:
        yield from cursor


@dataclass(frozen=True, kw_only=True)
class FeatureReader:
    """Reads features for `esnet.scoring.scoring.score` and for training.

    Attributes
    ----------
    database
        Where they are.
    kind
        ``dos`` (IS-DOS) or ``rs_dos`` (RS-DOS).
    composition
        ``presence`` or ``fraction``, see `esnet.representation.composition.composition_vector`.
    """

    database: DatabaseSettings
    kind: str = "dos"
    composition: CompositionMode = "presence"

    def __call__(self, ids: Sequence[str]) -> tuple[list[str], NDArray[np.float32], NDArray[np.float32]]:
        """Read features.

        Returns
        -------
        found
            The ids that have features, n of them, in the order asked.
        dos
            Shape (n, 2, 1500, 9).
        compositions
            Shape (n, 111).
        """
        with self.database.client() as client:
            store = CampaignStore(client[self.database.name])
            documents = {
                found["document"]: found for found in read_features(store, [f"{name}:{self.kind}" for name in ids])
            }
        present = [name for name in ids if name in documents]
        if not present:
            return [], np.zeros((0, *DOS_SHAPE), np.float32), np.zeros((0, 111), np.float32)
        dos = np.empty((len(present), *DOS_SHAPE), np.float32)
        for row, name in enumerate(present):
            dos[row] = DosFeatures.from_document(documents[name]).decode()
        compositions = np.stack(
            [composition_vector(documents[name]["composition"], mode=self.composition) for name in present]
        )
        return present, dos, compositions


def write_features(store: CampaignStore, document: Document) -> None:
    """Store the features of one DOS, in place of those that the same candidate had."""
    store.features.replace_one({"_id": document["_id"]}, document, upsert=True)
