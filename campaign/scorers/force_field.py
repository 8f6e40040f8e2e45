"""An interatomic potential as a scorer: candidates and their elements are relaxed with it. No DOS, no training."""

import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, Field
from pymatgen.core import Structure

from campaign.candidates.elements import MissingReferenceError
from campaign.scorers.base import Score, ScoredCampaign, Scorer, ScorerProblem, ScoringContext
from campaign.scorers.potential_energies import POTENTIAL_ENERGIES
from campaign.scorers.potentials import (
    EMT,
    NoEnergyError,
    Relaxer,
    calculator_versions,
    check_calculator,
    check_density,
    unknown_elements,
)
from esnet.files.errors import MissingExtraError
from esnet.scoring.scoring import Usage

_LARGEST_FORMATION_ENERGY = 20.0


class ForceField(Scorer):
    """E_f = (E - sum of the elements' energies) / n, all relaxed with one potential, in the Screen's own process.

    Several Screens run at once, one for each batch of candidates, wherever there are workers: no second kind of
    parallelism is needed, and none of Ray's packages.
    """

    kind: Literal["force_field"] = Field(default="force_field", description="force_field")
    calculator: Annotated[str, AfterValidator(check_calculator)] = Field(
        description="EMT (Al, Ni, Cu, Pd, Ag, Pt, Au; always there), or an ML potential by atomate2's name, e.g. CHGNet"
    )
    steps: int = Field(default=500, ge=2, le=100_000, description="most steps of a relaxation")
    force_tolerance: float = Field(
        default=0.03, gt=0.0, le=1.0, description="largest force at the end of a relaxation in eV/A"
    )
    uncertainty: float | None = Field(
        default=None, gt=0.0, le=20.0, description="standard deviation of every prediction in eV/atom; null: not known"
    )
    corrections: Literal["none", "mp2020"] | None = Field(
        default=None, description="corrections in the potential's energies; null: as docs/scorers.md lists them"
    )
    needs_dos: ClassVar[bool] = False
    needs_model: ClassVar[bool] = False
    needs_element_crystals: ClassVar[bool] = True

    def score(self, ids: Sequence[str], context: ScoringContext) -> Iterator[Score]:
        """Relax the elements' crystals once, then the candidates one after the other."""
        relaxer = Relaxer(self.calculator, steps=self.steps, force_tolerance=self.force_tolerance)
        elements: dict[str, float | str] = {}
        with _telling_gpu(context):
            for name, structure in context.structures(ids):
                for element in structure.composition.elements:
                    if element.symbol not in elements:
                        elements[element.symbol] = _element_energy(element.symbol, context, relaxer)
                yield self._score(name, structure, relaxer, elements)

    def _score(self, name: str, structure: Structure, relaxer: Relaxer, elements: Mapping[str, float | str]) -> Score:
        try:
            energy = formation_energy(structure, relaxer, elements)
        except NoEnergyError as error:
            return Score(id=name, e_form=None, reason=str(error))
        return Score(id=name, e_form=energy, uncertainty=self.uncertainty)

    def gives_uncertainty(self) -> bool:
        """Whether the settings give one."""
        return self.uncertainty is not None

    def gives_novelty(self) -> bool:
        """No: a potential does not say what it was trained on."""
        return False

    def identity(self, campaign: ScoredCampaign) -> dict[str, Any]:
        """Name the potential, its settings and the versions that decide its energies."""
        return {**self.to_dict(), "versions": calculator_versions(self.calculator)}

    def energy_corrections(self, campaign: ScoredCampaign | None) -> str | None:
        """Name the corrections that the potential's energies contain."""
        return POTENTIAL_ENERGIES[self.calculator].corrections or self.corrections

    def problems(self, elements: Sequence[str]) -> Iterator[ScorerProblem]:
        """Refuse energies of another kind, and elements that EMT does not describe.

        An ML potential is asked for the elements in `problems_here`.
        """
        known = POTENTIAL_ENERGIES[self.calculator]
        if known.functional == "r2SCAN":
            yield ScorerProblem(
                ("scorer", "calculator"),
                f"found {self.calculator!r}, which gives energies of r2SCAN; references and relaxations are PBE, and "
                "energies of two functionals never meet in one hull; right: a potential trained on PBE, e.g. CHGNet",
            )
        if None not in (self.corrections, known.corrections) and self.corrections != known.corrections:
            yield ScorerProblem(
                ("scorer", "corrections"),
                f"found {self.corrections!r}, but energies of {self.calculator} contain {known.corrections} "
                f"({known.evidence}); right: {known.corrections}, or null",
            )
        if self.calculator == EMT:
            yield from _unknown(self.calculator, elements)

    def problems_here(self, elements: Sequence[str]) -> Iterator[ScorerProblem]:
        """Look whether the potential's package is installed, and ask the potential for the elements that it knows."""
        if self.calculator == EMT:
            return
        try:
            yield from _unknown(self.calculator, elements)
        except MissingExtraError as error:
            yield ScorerProblem(("scorer", "calculator"), f"found {self.calculator!r}, but {error}")

    def describe(self) -> str:
        """Say in a few words what predicts."""
        return f"relaxations with the potential {self.calculator}"


def _unknown(calculator: str, elements: Sequence[str]) -> Iterator[ScorerProblem]:
    for symbol in unknown_elements(calculator, elements):
        yield ScorerProblem(
            ("candidates", "elements", symbol),
            f"found {symbol!r}: the potential {calculator} (scorer.calculator) does not know it; leave it out, or take "
            "another potential",
        )


def _element_energy(symbol: str, context: ScoringContext, relaxer: Relaxer) -> float | str:
    """The lowest energy of an element's crystals in eV/atom, or why there is none."""
    try:
        crystals = context.element_structures(symbol)
    except MissingReferenceError as error:
        return str(error)
    energies, reasons = [], []
    for crystal in crystals:
        try:
            energies.append(relaxer.energy(crystal))
        except NoEnergyError as error:
            reasons.append(str(error))
    return min(energies) if energies else f"the elemental reference of {symbol}: {reasons[0]}"


def formation_energy(structure: Structure, relaxer: Relaxer, elements: Mapping[str, float | str]) -> float:
    """Relax a crystal; return its formation energy in eV/atom.

    Parameters
    ----------
    structure
        The unrelaxed crystal.
    relaxer
        The potential.
    elements
        Energy of each element in eV/atom with the same potential, or why there is none.

    Raises
    ------
    NoEnergyError
        If there is no energy, or none of a size that a crystal can have (20 eV/atom).
    """
    check_density(structure)
    references = 0.0
    for element, number in structure.composition.items():
        known = elements[element.symbol]
        if isinstance(known, str):
            raise NoEnergyError(known)
        references += number * known
    energy = relaxer.energy(structure) - references / len(structure)
    if abs(energy) > _LARGEST_FORMATION_ENERGY:
        raise NoEnergyError(f"its formation energy would be {energy:.3g} eV/atom: its atoms fell into each other")
    return energy


@contextmanager
def _telling_gpu(context: ScoringContext) -> Iterator[None]:
    """Count the GPU that an ML potential took for itself; CPU-seconds are this process's own."""
    started = time.monotonic()
    try:
        yield
    finally:
        torch = sys.modules.get("torch")
        if torch is not None and torch.cuda.is_initialized():
            context.on_usage(Usage(cpu_s=0.0, gpu_s=time.monotonic() - started))
