"""Features in MongoDB: read by id, for a whole campaign, and in a scoring actor."""

import logging
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from campaign.store.campaigns import Campaign
from campaign.store.collections import CampaignStore, Document, in_chunks
from esnet.representation.composition import N_ELEMENTS, CompositionMode, composition_vector
from esnet.representation.dos import DOS_SHAPE
from launchers.database.settings import DatabaseSettings
from workflows.dos import DosFeatures

logger = logging.getLogger(__name__)

#: Documents per MongoDB reply; features have about 100 kB each.
_BATCH = 64


class DamagedFeaturesError(ValueError):
    """Stored features cannot be read; the message names their document and the fault."""


def read_features(store: CampaignStore, ids: Sequence[str], fields: Sequence[str] | None = None) -> Iterable[Document]:
    """Iterate over the features of these ids (``candidate:dos`` or ``candidate:rs_dos``), in no particular order.

    Ids without features are left out. By default all fields are read.
    """
    return store.features.find({"_id": {"$in": list(ids)}}, fields)


def decode_features(
    document: Mapping[str, Any], *, composition: CompositionMode = "presence"
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return the DOS, shape (2, 1500, 9), and the composition vector, shape (111,), of stored features.

    Raises
    ------
    DamagedFeaturesError
        If a field is missing, the data does not match its checksum or is not finite, or the composition is invalid.
    """
    try:
        dos = DosFeatures.from_document(document).decode()
        if dos.shape != DOS_SHAPE:
            raise ValueError(f"found shape {dos.shape}, must be {DOS_SHAPE}")
        return dos, composition_vector(document["composition"], mode=composition)
    # any of these may be raised while a damaged document is read
    except (ValueError, TypeError, LookupError, AttributeError, zlib.error) as error:
        why = f"the field {error} is missing" if isinstance(error, KeyError) else str(error)
        raise DamagedFeaturesError(f"features {document.get('_id')}: {why}") from error


def readable_features(store: CampaignStore, ids: Sequence[str]) -> Iterator[tuple[Document, NDArray[np.float32]]]:
    """Iterate over features like `read_features`, each with its DOS; damaged ones are logged and left out."""
    for document in read_features(store, ids):
        try:
            yield document, decode_features(document)[0]
        except DamagedFeaturesError as error:
            logger.warning(
                "%s; left out. `campaign reconcile %s` repairs them", error, document.get("campaign", "NAME")
            )


def unusable_features(store: CampaignStore, ids: Sequence[str], kind: str) -> dict[str, str]:
    """Return why features of these candidates and references are unusable, by id; usable ones are absent.

    Parameters
    ----------
    kind
        ``dos`` or ``rs_dos``.
    """
    wanted = {f"{name}:{kind}": name for name in ids}
    unusable = {name: f"features {features_id} are not in the database" for features_id, name in wanted.items()}
    for part in in_chunks(wanted, _BATCH):
        for found in read_features(store, part):
            name = wanted[found["_id"]]
            del unusable[name]
            try:
                decode_features(found)
            except DamagedFeaturesError as error:
                unusable[name] = str(error)
    return unusable


def features_of_campaign(campaign: Campaign) -> Iterator[Document]:
    """Yield every stored DOS of a campaign, ordered by id."""
    with campaign.store.features.find({"campaign": campaign.name}, batch_size=_BATCH).sort("_id") as cursor:
        yield from cursor


@dataclass(frozen=True, kw_only=True)
class FeatureReader:
    """Reads features for `esnet.scoring.scoring.score` and for training.

    Attributes
    ----------
    database
        Connection settings of the database.
    kind
        ``dos`` (IS-DOS) or ``rs_dos`` (RS-DOS).
    composition
        ``presence`` or ``fraction``, see `esnet.representation.composition.composition_vector`.
    """

    database: DatabaseSettings
    kind: str = "dos"
    composition: CompositionMode = "presence"

    def __call__(self, ids: Sequence[str]) -> tuple[list[str], NDArray[np.float32], NDArray[np.float32]]:
        """Read features. Missing ones are left out, and so are damaged ones, which are logged.

        Returns
        -------
        found
            The n ids with usable features, in the given order.
        dos
            Shape (n, 2, 1500, 9).
        compositions
            Shape (n, 111).
        """
        with self.database.client() as client:
            store = CampaignStore(client[self.database.name])
            documents = {found["_id"]: found for found in read_features(store, [self._id_of(name) for name in ids])}
        present: list[str] = []
        dos = np.empty((len(documents), *DOS_SHAPE), np.float32)
        compositions = np.empty((len(documents), N_ELEMENTS), np.float32)
        for name in ids:
            if (document := documents.get(self._id_of(name))) is None:
                continue
            row = len(present)
            try:
                dos[row], compositions[row] = decode_features(document, composition=self.composition)
            except DamagedFeaturesError as error:
                logger.warning("left out: %s", error)
                continue
            present.append(name)
        return present, dos[: len(present)], compositions[: len(present)]

    def _id_of(self, name: str) -> str:
        return f"{name}:{self.kind}"


def write_features(store: CampaignStore, document: Document) -> None:
    """Store the features of one DOS, replacing earlier ones."""
    store.features.replace_one({"_id": document["_id"]}, document, upsert=True)
