"""UMAP of the DOS that the network reads (figure 5b-e): similar ones are close to each other."""

import hashlib
import logging
import math
import os
import sys
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from campaign.policies.thresholds import Thresholds
from campaign.store.campaigns import Campaign
from campaign.store.collections import CampaignStore, in_chunks
from campaign.store.features import read_features, readable_features
from campaign.views.figures.documents import CandidateColumns, Flags, Floats
from esnet.files.atomic import whole_file
from esnet.files.errors import MissingExtraError, require
from esnet.representation.dos import DOS_SHAPE

logger = logging.getLogger(__name__)

MOST_POINTS = 2000
"""Maximum number of candidates on the map; of more, a random sample is drawn."""
FEWEST_POINTS = 15
_NEIGHBOURS = 15
_POOLED = 10
_N_INPUTS = math.prod(DOS_SHAPE) // _POOLED
"""Number of energies averaged into one: 0.2 eV, about the broadening, which reduces the input tenfold."""
_VERSION = 1


@dataclass(frozen=True, kw_only=True)
class DosMap:
    """Map of the DOS; arrays of shape (n,).

    Attributes
    ----------
    x, y
        UMAP's coordinates: distances mean something, directions and units do not.
    e_form_ml
        Predicted formation energies, eV/atom.
    labels
        Names of the candidates.
    panels
        ``(title, flags)`` for each step of the screening: the candidates left after it.
    n_all
        Candidates that could be on the map.
    seed
        Seed of the sample and of UMAP.
    """

    x: Floats
    y: Floats
    e_form_ml: Floats
    labels: list[str]
    panels: list[tuple[str, Flags]]
    n_all: int
    seed: int


def dos_map(campaign: Campaign, columns: CandidateColumns) -> DosMap | str:
    """Return the map, or a sentence on why there is none.

    Notes
    -----
    UMAP (L. McInnes, J. Healy, J. Melville, arXiv:1802.03426) on the 18 channels of the IS-DOS, energies pooled by ten,
    Euclidean distances, 15 neighbours. The coordinates are kept in the cache folder under a checksum of the ids and of
    the DOS, so that a regenerated page has the same map immediately.
    """
    if not campaign.spec.scorer.needs_dos:
        return f"The scorer ({campaign.spec.scorer.describe()}) uses no DOS, so there is none to map."
    usable = np.flatnonzero(
        columns.screened
        & columns.predicted
        & [bool((one.get("is_dos") or {}).get("features")) for one in columns.documents]
    )
    seed = campaign.spec.seed
    indices = usable
    if len(usable) > MOST_POINTS:
        indices = usable[np.sort(np.random.default_rng(seed).choice(len(usable), MOST_POINTS, replace=False))]
    ids = [f"{columns.ids[place]}:dos" for place in indices]
    checksums = {found["_id"]: found.get("sha256") for found in read_features(campaign.store, ids, ["sha256"])}
    kept = [place for place, name in zip(indices, ids, strict=True) if name in checksums]
    if len(kept) < FEWEST_POINTS:
        return (
            f"A map needs at least {FEWEST_POINTS} candidates with an IS-DOS and a prediction; there are {len(kept)}."
        )
    ids = [f"{columns.ids[place]}:dos" for place in kept]
    content = f"{_VERSION} {seed} {_POOLED} {_NEIGHBOURS} " + " ".join(f"{name}={checksums[name]}" for name in ids)
    try:
        placed = _cached(hashlib.sha256(content.encode()).hexdigest(), campaign.store, ids, seed)
    except MissingExtraError as error:
        return f"No map: {error}."
    return DosMap(
        x=placed[:, 0],
        y=placed[:, 1],
        e_form_ml=columns.e_form_ml[kept],
        labels=[columns.labels[place] for place in kept],
        panels=_panels(campaign, columns, np.array(kept)),
        n_all=len(usable),
        seed=seed,
    )


def _panels(campaign: Campaign, columns: CandidateColumns, indices: NDArray[np.intp]) -> list[tuple[str, Flags]]:
    panels = [("all with a prediction", np.ones(len(indices), dtype=bool))]
    policy = campaign.spec.policy
    if isinstance(policy, Thresholds):
        e_form = columns.e_form_ml[indices] <= policy.max_formation_energy
        panels.append((f"E_f(ML) ≤ {policy.max_formation_energy:g} eV/atom", e_form))
    panels.append(("promoted", columns.promoted[indices]))
    panels.append(("stable (DFT)", columns.promoted[indices] & columns.stable[indices]))
    return panels


def _cached(checksum: str, store: CampaignStore, ids: list[str], seed: int) -> Floats:
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "esnet-campaign" / "maps"
    file = cache / f"{checksum}.npy"
    try:
        known: Floats = np.load(file, allow_pickle=False)
        if known.shape == (len(ids), 2):
            return known
    except (OSError, ValueError):
        pass
    placed = _embed(_inputs(store, ids), seed)
    try:
        cache.mkdir(parents=True, exist_ok=True)
        with whole_file(file) as temporary, temporary.open("wb") as stream:
            np.save(stream, placed)
    except OSError as error:  # a home folder that cannot be written to: the map is made again next time
        logger.warning("the map of the DOS cannot be stored: %s", error)
    return placed


def _inputs(store: CampaignStore, ids: list[str]) -> NDArray[np.float32]:
    """Return the network's input, shape (n, 2700), with averaged energies; NaN for damaged features."""
    rows: dict[str, NDArray[np.float32]] = {}
    for part in in_chunks(ids, 200):
        for found, dos in readable_features(store, part):
            spins, energies, orbitals = dos.shape
            pooled = dos.reshape(spins, energies // _POOLED, _POOLED, orbitals).mean(axis=2)
            rows[found["_id"]] = pooled.ravel()
    damaged = np.full(_N_INPUTS, np.nan, dtype=np.float32)
    return np.stack([rows.get(name, damaged) for name in ids]).astype(np.float32)


def _embed(inputs: NDArray[np.float32], seed: int) -> Floats:
    """Return positions on the map, shape (n, 2); NaN for NaN inputs."""
    usable = np.isfinite(inputs).all(axis=1)
    places = np.full((len(inputs), 2), np.nan)
    inputs = inputs[usable]
    # the spectral start needs more points than it has dimensions to give
    start = "spectral" if len(inputs) > 50 else "random"
    reducer = _import_umap().UMAP(n_neighbors=min(_NEIGHBOURS, len(inputs) - 1), random_state=seed, init=start)
    with warnings.catch_warnings():
        # a seed means one thread, which umap says each time
        warnings.filterwarnings("ignore", message="n_jobs value", category=UserWarning)
        places[usable] = reducer.fit_transform(inputs)
    return places


def _import_umap() -> Any:
    """Import UMAP without its TensorFlow part, which takes half a minute and is not needed."""
    hidden = "tensorflow" not in sys.modules
    if hidden:
        sys.modules["tensorflow"] = None  # type: ignore[assignment]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ImportWarning)
            return require("umap", extra="report", distribution="umap-learn")
    finally:
        if hidden:
            del sys.modules["tensorflow"]
