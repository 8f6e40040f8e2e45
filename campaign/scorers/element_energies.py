"""Energies of the elements that earlier Screens of a campaign have relaxed with the same potentials."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from pymatgen.core import Structure

from campaign.scorers.base import ScoringContext
from campaign.scorers.chosen_potential import ChosenPotential
from esnet.dataset.crystals import Crystal
from esnet.files.atomic import sha256_of_json


class ElementEnergies:
    """Kept energies of the elements' crystals with each potential.

    Parameters
    ----------
    potentials
        Potentials, all applied to each crystal.
    settings
        Whatever else an energy depends on (steps, forces, guards), in JSON types.
    kept
        Gives and takes the energies that are kept with the campaign.
    """

    def __init__(
        self, potentials: Sequence[ChosenPotential], settings: Mapping[str, Any], kept: ScoringContext
    ) -> None:
        self._potentials = [{**each.identity(), "versions": each.versions(), **settings} for each in potentials]
        self._kept, self._known = kept, kept.kept_energies()

    def known(self, structure: Structure) -> tuple[float, ...] | None:
        """Return the energies of a crystal with all potentials; None unless all are kept."""
        found = [self._known.get(key) for key in self._keys(structure)]
        energies = tuple(each for each in found if isinstance(each, float) and math.isfinite(each))
        return energies if len(energies) == len(found) else None

    def keep(self, structure: Structure, energies: Sequence[float | str]) -> None:
        """Keep the energies of a relaxed crystal, but not the reasons for missing ones, which may not persist."""
        keys = self._keys(structure)
        new = {key: each for key, each in zip(keys, energies, strict=True) if not isinstance(each, str)}
        if new:
            self._kept.keep_energies(new)

    def _keys(self, structure: Structure) -> list[str]:
        crystal = Crystal.of(structure).digest().hex()
        return [sha256_of_json({"crystal": crystal, "potential": each}) for each in self._potentials]
