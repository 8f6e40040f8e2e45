"""IS-DOS against RS-DOS of relaxed candidates (Figure 1a), and how alike they are (Figure 1b)."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from campaign.store.campaigns import Campaign
from campaign.store.collections import Document
from campaign.store.features import read_features, readable_features
from campaign.store.states import RsDosState
from campaign.views.figures.documents import CandidateColumns, Floats
from esnet.representation.dos import dos_unit
from esnet.representation.features import Representation
from esnet.similarity.similarity import Similarity, compare_dos

MOST_SHOWN = 40
"""Pairs that a page offers."""
MOST_COMPARED = 300
"""Pairs that the similarity is over, drawn at random."""
_Features = tuple[Document, NDArray[np.float32]]


@dataclass(frozen=True, kw_only=True)
class DosPair:
    """Total DOS of one candidate before and after its relaxation.

    Attributes
    ----------
    label
        Name of the candidate.
    initial, relaxed
        (1500,) sums over spins and orbitals, states/eV as normalised.
    efermi_initial, efermi_relaxed
        Fermi levels on the axis of the DOS, eV; None where not known.
    """

    label: str
    initial: NDArray[np.float32]
    relaxed: NDArray[np.float32]
    efermi_initial: float | None
    efermi_relaxed: float | None


@dataclass(frozen=True, kw_only=True)
class DosPairs:
    """Figures 1a and 1b.

    Attributes
    ----------
    shown
        The most stable candidates with both kinds.
    similarity
        Over at most `MOST_COMPARED` of them; None with fewer than two.
    n_pairs
        How many there are, shown or not.
    unit, fermi_is_zero
        Unit of the DOS, and whether energies are relative to the Fermi level.
    """

    shown: list[DosPair]
    similarity: Similarity | None
    n_pairs: int
    unit: str
    fermi_is_zero: bool


@dataclass(frozen=True, kw_only=True)
class _StoredDos:
    """DOS of both kinds in memory, as `compare_dos` takes them."""

    path: str
    checksum: str
    representation: Representation
    ids: Sequence[str]
    materials: Sequence[str]
    kinds: Sequence[str]
    efermi: Floats
    densities: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.ids)

    def read(self, indices: Any) -> NDArray[np.float32]:
        chosen: NDArray[np.float32] = self.densities[indices]
        return chosen


def dos_pairs(campaign: Campaign, columns: CandidateColumns) -> DosPairs | None:
    """Read the pairs of a campaign.

    Returns
    -------
    DosPairs or None
        None where no candidate has both: campaigns without retraining compute an RS-DOS for training structures only.
    """
    both = [
        place
        for place, document in enumerate(columns.documents)
        if (document.get("rs_dos") or {}).get("state") == RsDosState.DONE
        and (document.get("is_dos") or {}).get("features")
    ]
    stored = {document["_id"] for document in read_features(campaign.store, _ids(columns, both), ["_id"])}
    both = [place for place in both if stored.issuperset(_ids(columns, [place]))]
    if not both:
        return None
    last_where_unknown = np.nan_to_num(columns.e_hull_dft, nan=math.inf)
    both.sort(key=lambda place: (last_where_unknown[place], columns.ids[place]))
    shown = both[:MOST_SHOWN]
    drawn = both
    if len(both) > MOST_COMPARED:
        chosen = np.random.default_rng(campaign.spec.seed).choice(len(both), MOST_COMPARED, replace=False)
        drawn = [both[place] for place in sorted(chosen)]
    wanted = _ids(columns, sorted({*shown, *drawn}))
    found = {document["_id"]: (document, dos) for document, dos in readable_features(campaign.store, wanted)}
    shown, drawn = ([place for place in some if found.keys() >= {*_ids(columns, [place])}] for some in (shown, drawn))
    representation = campaign.spec.representation()
    return DosPairs(
        shown=[_pair(columns, place, found, zero=representation.energy_reference == "fermi") for place in shown],
        similarity=_similarity(campaign, columns, drawn, found) if len(drawn) > 1 else None,
        n_pairs=len(both),
        unit=dos_unit(representation.normalisation),
        fermi_is_zero=representation.energy_reference == "fermi",
    )


def _ids(columns: CandidateColumns, indices: Sequence[int]) -> list[str]:
    """Ids of both features of candidates."""
    return [f"{columns.ids[place]}:{kind}" for place in indices for kind in ("dos", "rs_dos")]


def _pair(columns: CandidateColumns, place: int, found: Mapping[str, _Features], *, zero: bool) -> DosPair:
    (initial, initial_dos), (relaxed, relaxed_dos) = (found[name] for name in _ids(columns, [place]))
    # a calculation with one spin has the other one with the opposite sign (docs/explanation/science.md)
    totals = [np.abs(dos).sum(axis=(0, 2)) for dos in (initial_dos, relaxed_dos)]
    return DosPair(
        label=columns.labels[place],
        initial=totals[0],
        relaxed=totals[1],
        efermi_initial=0.0 if zero else initial.get("efermi"),
        efermi_relaxed=0.0 if zero else relaxed.get("efermi"),
    )


def _similarity(
    campaign: Campaign, columns: CandidateColumns, drawn: Sequence[int], found: Mapping[str, _Features]
) -> Similarity:
    kinds = {"dos": "is_dos", "rs_dos": "rs_dos"}
    samples = [(columns.ids[place], kind) for place in drawn for kind in kinds]
    read = [found[f"{name}:{kind}"] for name, kind in samples]
    levels = [document.get("efermi") for document, _ in read]
    representation = campaign.spec.representation()
    zero = representation.energy_reference == "fermi"
    stored = _StoredDos(
        path=campaign.name,
        checksum="",
        representation=representation,
        ids=[f"{name}:{kind}" for name, kind in samples],
        materials=[name for name, _ in samples],
        kinds=[kinds[kind] for _, kind in samples],
        efermi=np.array([math.nan if level is None else (0.0 if zero else level) for level in levels]),
        densities=np.stack([dos for _, dos in read]),
    )
    return compare_dos(stored, seed=campaign.spec.seed)
