"""A candidate of a replay: its prediction and the result of its relaxation."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from campaign.spec.sections.stable import StableSection


@dataclass(frozen=True, kw_only=True, slots=True)
class KnownCandidate:
    """A candidate with a known outcome of its relaxation.

    Attributes
    ----------
    id
        Name of the candidate.
    e_form_ml, e_hull_ml
        Predicted energies of the relaxed crystal, eV/atom; NaN without a prediction.
    uncertainty
        Standard deviation of the prediction, eV/atom; None if unknown.
    novel
        Whether it is unlike the scorer's training data; None if unknown.
    e_form, e_hull
        True energies, eV/atom; ignored if the relaxation fails.
    n_sites, n_electrons
        Number of atoms and valence electrons per cell, from which costs are estimated.
    dos_cpu_s, relax_cpu_s
        Cost of its prediction (the IS-DOS, or whatever the scorer needs instead) and of its relaxation over all
        attempts, CPU-s.
    composition
        Number of atoms per cell by element; empty if unknown.
    relaxation_failed
        Whether its relaxation fails; it is paid for but gives no result.

    Examples
    --------
    >>> import campaign
    >>> found = campaign.read_replay_data("examples/replay.csv").candidates[0]
    >>> found.e_form_ml < 1.0, found.relax_cpu_s > found.dos_cpu_s
    (True, True)
    """

    id: str
    e_form_ml: float
    e_hull_ml: float
    e_form: float
    e_hull: float
    n_sites: int
    n_electrons: int
    uncertainty: float | None = None
    novel: bool | None = None
    dos_cpu_s: float
    relax_cpu_s: float
    relaxation_failed: bool = False
    composition: Mapping[str, float] = field(default_factory=dict)

    def is_stable(self, stable: StableSection) -> bool:
        """Whether it is truly stable; False if its relaxation fails.

        Parameters
        ----------
        stable
            Limits of formation energy and energy above the hull, eV/atom.

        Returns
        -------
        bool
            True if both energies are at most their limits.

        Examples
        --------
        >>> import campaign
        >>> from campaign.spec.sections.stable import StableSection
        >>> known = campaign.read_replay_data("examples/replay.csv").candidates
        >>> sum(found.is_stable(StableSection(max_hull_energy=0.1)) for found in known)
        18
        """
        found = self.e_form <= stable.max_formation_energy and self.e_hull <= stable.max_hull_energy
        return found and not self.relaxation_failed
