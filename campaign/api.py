"""Read-only access to a campaign from Python: results as a data frame, crystals, energies, DOS and hull."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pymatgen.core import Structure
from pymatgen.entries.computed_entries import ComputedEntry, ComputedStructureEntry

from campaign.attempts.blocked import BLOCKED, blocked
from campaign.commands.connection import read_campaign
from campaign.hull.hull import HullSet
from campaign.references.reference_sets import load_hull
from campaign.replay.campaign import read_replay_campaign
from campaign.replay.data import ReplayData
from campaign.store.campaigns import Campaign
from campaign.views.export.entries import campaign_entries
from campaign.views.export.formats import row_as_dict
from campaign.views.export.full_rows import full_rows
from campaign.views.export.selection import Which
from campaign.views.export.structures import chosen_structures
from campaign.views.metrics.campaign_metrics import campaign_metrics
from campaign.views.stored_dos import predict_stored, stored_dos
from esnet.bundle.bundle import Bundle
from esnet.representation.grid_dos import GridDos
from esnet.scoring.prediction import Prediction

if TYPE_CHECKING:
    import pandas as pd


def open_campaign(name: str, launchpad: str | os.PathLike[str] | None = None) -> CampaignResults:
    """Open a campaign for reading; it may be running meanwhile.

    Parameters
    ----------
    name
        Name of the campaign, as in its file.
    launchpad
        Path of my_launchpad.yaml. If None, the file that ``lpad`` would use, e.g. the one in the current folder.

    Returns
    -------
    CampaignResults
        The campaign in its present state; open it again to see later changes.

    Raises
    ------
    DatabaseError
        If the file does not exist or its database does not respond.
    UnknownCampaignError
        If there is no campaign of that name; the message lists the existing ones.

    Examples
    --------
    >>> import campaign
    >>> quickstart = campaign.open_campaign("quickstart")
    >>> frame = quickstart.results()
    >>> stable = frame[frame.stable.eq(True)]
    >>> stable[["formula", "e_form_dft", "e_hull_dft", "decomposition"]].head(1).values.tolist()
    [['AlPd', -0.9, -0.9, '0.5 Al + 0.5 Pd']]
    """
    return CampaignResults(read_campaign(None if launchpad is None else Path(launchpad), name))


@dataclass(frozen=True)
class CampaignResults:
    """A campaign opened for reading by `open_campaign`.

    Examples
    --------
    >>> import campaign
    >>> campaign.open_campaign("quickstart")
    <campaign 'quickstart', finished, 7 candidates screened>
    """

    _campaign: Campaign

    def __repr__(self) -> str:
        return f"<campaign {self.name!r}, {self.state}, {self._campaign.document['n_screened']} candidates screened>"

    @property
    def name(self) -> str:
        """Name of the campaign, as in its file."""
        return self._campaign.name

    @property
    def state(self) -> str:
        """State of the campaign: ``starting``, ``running``, ``blocked`` (by a failed reference) or ``finished``."""
        found = blocked(self._campaign)
        return BLOCKED if found is not None and found.is_all else str(self._campaign.document["state"])

    def results(self, *, structures: bool = False) -> pd.DataFrame:
        """Return a data frame of all candidates and their results, most stable first.

        Parameters
        ----------
        structures
            Add the columns ``structure`` and ``relaxed_structure``: pymatgen dictionaries, lengths in A.

        Returns
        -------
        pandas.DataFrame
            One row per candidate, with the columns and values of ``campaign results NAME --format json``: energies in
            eV/atom, cost in CPU-s. Unknown values are missing (`pandas.isna`); ``stable`` and ``novel`` are True, False
            or None.

        Examples
        --------
        >>> import campaign
        >>> frame = campaign.open_campaign("quickstart").results()
        >>> frame[["rank", "formula", "space_group"]].head(1).values.tolist()
        [[1, 'AlPd', 'Pm-3m']]
        """
        import pandas as pd

        from_rows = [row_as_dict(row, structures=structures) for row in full_rows(self._campaign)]
        frame = pd.DataFrame.from_records(from_rows)
        for name in frame.columns:
            if name.startswith(("e_form_", "e_hull_")) or name == "uncertainty":
                frame[name] = frame[name].astype(float)
            elif name.endswith("space_group_number"):
                frame[name] = frame[name].astype("Int64")
            elif name in ("stable", "novel"):
                frame[name] = pd.Series([row[name] for row in from_rows], dtype=object)
        return frame

    def metrics(self) -> dict[str, Any]:
        """Return the quality of the campaign's decisions, as printed by ``campaign metrics NAME --json``.

        Returns
        -------
        dict
            Counts, ``metrics`` (fractions from 0 to 1, costs in CPU-s), ``audit`` and ``costs``; unknown numbers are
            None.

        Examples
        --------
        >>> import campaign
        >>> campaign.open_campaign("quickstart").metrics()["n_stable"]
        3
        """
        return campaign_metrics(self._campaign).to_dict()

    def structures(self, which: Which = "stable", *, unrelaxed: bool = False) -> dict[str, Structure]:
        """Return crystals by candidate id, most stable first.

        Parameters
        ----------
        which
            Which candidates: ``stable``, ``relaxed`` or ``all``.
        unrelaxed
            Return unrelaxed crystals; by default the relaxed one of each candidate that has been relaxed.

        Returns
        -------
        dict of pymatgen Structure
            Lengths in A.

        Raises
        ------
        NothingToExportError
            If there is no such candidate.

        Examples
        --------
        >>> import campaign
        >>> crystals = campaign.open_campaign("quickstart").structures("stable")
        >>> sorted({crystal.reduced_formula for crystal in crystals.values()})
        ['AlPd']
        """
        found = chosen_structures(self._campaign, which=which, unrelaxed=unrelaxed)
        return {row.id: structure for row, structure, _ in found}

    def dos(self, candidate: str, *, relaxed: bool = False) -> GridDos:
        """Return the density of states of one candidate.

        Parameters
        ----------
        candidate
            Id or beginning of the id, formula (``AlPd``), formula and prototype (``AlPd:B2``), or name in the source.
        relaxed
            Return the DOS of the relaxed crystal (RS-DOS), which is computed only for crystals that train a model,
            instead of that of the unrelaxed one (IS-DOS).

        Returns
        -------
        GridDos
            Energies in eV, channels of shape (2, 1500, 9) in states/(eV atom) unless the campaign normalises them
            otherwise.

        Raises
        ------
        UnknownCandidateError
            If no candidate or more than one matches.
        NoDosOfCandidateError
            If the DOS has not been computed (yet) or the stored one is damaged.

        Examples
        --------
        >>> import campaign
        >>> dos = campaign.open_campaign("quickstart").dos("AlPd:B2")
        >>> dos.composition, dos.channels.shape, dos.efermi
        ({'Al': 1.0, 'Pd': 1.0}, (2, 1500, 9), 1.5)
        """
        return stored_dos(self._campaign, candidate, relaxed=relaxed)

    def predict(
        self, bundle: Bundle | str | os.PathLike[str] | None = None, candidates: Sequence[str] | None = None
    ) -> list[Prediction]:
        """Predict formation energies from the campaign's stored IS-DOS, in this process; nothing is written.

        Parameters
        ----------
        bundle
            A bundle from `esnet.open_bundle`, its folder, or the name of a shipped bundle. If None, the campaign's own.
        candidates
            Ids as in the column ``id`` of `results`. If None, all candidates with an IS-DOS.

        Returns
        -------
        list of Prediction
            One per id, in order: ``e_form`` and ``uncertainty`` in eV/atom. Without an IS-DOS there is no energy, and
            ``reason`` says why.

        Raises
        ------
        NoModelError
            If no bundle is given and the campaign has none yet.
        RepresentationError
            If the bundle expects another kind of features than the campaign's.
        UnknownModelError, BundleError
            As raised by `esnet.open_bundle`.

        Examples
        --------
        >>> import campaign
        >>> found = campaign.open_campaign("quickstart").predict("gpaw-fast-binary")
        >>> len(found), all(-5 < prediction.e_form < 5 for prediction in found)
        (6, True)
        """
        return predict_stored(self._campaign, bundle, candidates)

    def replay_data(self) -> ReplayData:
        """Return the candidates with known predictions and relaxations, to replay other policies with `compare`.

        Returns
        -------
        ReplayData
            Energies in eV/atom, costs in CPU-s; ``notes`` list the candidates left out.

        Raises
        ------
        ReplayDataError
            If no candidate with a prediction has been relaxed.

        Examples
        --------
        >>> import campaign
        >>> data = campaign.open_campaign("quickstart").replay_data()
        >>> len(data.candidates), round(data.prediction_error().mae, 3)
        (3, 0.02)
        """
        return read_replay_campaign(self._campaign)

    def entries(self, which: Which = "relaxed") -> list[ComputedEntry]:
        """Return the relaxed crystals and the reference phases as pymatgen entries, e.g. for a `PhaseDiagram`.

        Parameters
        ----------
        which
            Which candidates: ``stable`` or ``relaxed``.

        Returns
        -------
        list of ComputedEntry or ComputedStructureEntry
            Total energies in eV, with the corrections of the campaign's scheme as energy adjustments. ``data["role"]``
            is ``reference`` or ``candidate``.

        Raises
        ------
        NoReferenceSetError
            If the references are still being computed.
        NothingToExportError
            If there is no such candidate.

        Examples
        --------
        >>> import campaign
        >>> from pymatgen.analysis.phase_diagram import PhaseDiagram
        >>> diagram = PhaseDiagram(campaign.open_campaign("quickstart").entries())
        >>> sorted(entry.reduced_formula for entry in diagram.stable_entries)
        ['Al', 'AlPd', 'Au', 'Pd']
        """
        kinds = {"ComputedEntry": ComputedEntry, "ComputedStructureEntry": ComputedStructureEntry}
        return [kinds[found["@class"]].from_dict(found) for found in campaign_entries(self._campaign, which=which)]

    def hull(self, chemsys: str | None = None) -> HullSet:
        """Return the convex hulls of the campaign's reference set.

        Parameters
        ----------
        chemsys
            Restrict the phases to these elements, e.g. ``Al-Pd``. If None, all phases.

        Returns
        -------
        HullSet
            Provides ``formation_energies``, ``distances`` (eV/atom) and ``decompositions`` of compositions.

        Raises
        ------
        LookupError
            If the reference set is not frozen yet.

        Examples
        --------
        >>> import campaign
        >>> from pymatgen.core import Composition
        >>> hull = campaign.open_campaign("quickstart").hull("Al-Pd")
        >>> hull.distances([Composition("AlPd")], [-0.25]).tolist()
        [-0.25]
        """
        elements = None if chemsys is None else [symbol.strip() for symbol in chemsys.split("-")]
        return load_hull(self._campaign.store, self._campaign.reference_set, elements=elements)
