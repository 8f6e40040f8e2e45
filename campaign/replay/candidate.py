"""A candidate of a replay: its prediction, and the result of its relaxation."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from campaign.spec.sections.stable import StableSection


@dataclass(frozen=True, kw_only=True, slots=True)
class KnownCandidate:
    """A candidate whose relaxation has a known end.

    Attributes
    ----------
    id
        Its name.
    e_form_ml, e_hull_ml
        Predicted for the relaxed crystal, eV/atom; NaN: no prediction.
    uncertainty
        Standard deviation of the prediction, eV/atom; None: not known.
    novel
        Whether the scorer has never seen the like; None: not known.
    e_form, e_hull
        True ones, eV/atom; not looked at where the relaxation fails.
    n_sites, n_electrons
        Atoms and valence electrons of its cell, by which costs are estimated.
    dos_cpu_s, relax_cpu_s
        What its prediction (its IS-DOS, or whatever else the scorer needs) and its relaxation cost, all attempts,
        CPU-s.
    composition
        Number of atoms in its cell by element; empty: not known.
    relaxation_failed
        Its relaxation is paid for and gives nothing.

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
        """Whether it is stable in truth; one whose relaxation fails is not.

        Parameters
        ----------
        stable
            Limits of the formation energy and of the distance to the hull, eV/atom.

        Returns
        -------
        bool
            Whether both energies are at most the limits.

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
