"""An interatomic potential as chosen in a campaign file, and the checks of it."""

import logging
from collections.abc import Iterator, Sequence
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field

from campaign.config.strict_model import StrictModel
from campaign.config.yaml_file import FieldPath, did_you_mean, dotted
from campaign.scorers.base import ScorerProblem
from campaign.scorers.relaxation import Guards, Relaxer, unknown_elements
from esnet.files.errors import MissingExtraError
from esnet.potentials.energies import PotentialEnergies, energies_of
from esnet.potentials.potentials import EMT, ML_POTENTIALS, MODELS, calculator_versions, missing_weights, model_of

logger = logging.getLogger(__name__)


def check_calculator(name: str) -> str:
    """Return the name of a potential if it is known.

    Raises
    ------
    ValueError
        Lists the known names.
    """
    if name != EMT and name not in ML_POTENTIALS:
        raise ValueError(f"no potential has this name; {did_you_mean(name, (EMT, *ML_POTENTIALS))}")
    return name


def model_problem(calculator: str, model: str | None) -> str | None:
    """Return the problem of the name of a potential's weights, or None."""
    known = MODELS.get(calculator, {})
    if model is None or model in known:
        return None
    right = did_you_mean(model, tuple(known)) if known else "right: null, since it has one set of weights"
    return f"found {model!r}: {calculator} has no weights of this name; {right}"


Calculator = Annotated[
    str,
    AfterValidator(check_calculator),
    Field(
        description="EMT (Al, Ni, Cu, Pd, Ag, Pt, Au; always available), or an ML potential by its atomate2 name, "
        "e.g. CHGNet"
    ),
]
WeightsName = Annotated[
    str | None,
    Field(
        description="its weights: 0.3.0, 0.2.0 or r2scan for CHGNet; SevenNet-0, l3i5 or MF-0 for SevenNet; null: the "
        "first of these, or atomate2's default for other potentials"
    ),
]
Corrections = Annotated[
    Literal["none", "mp2020"] | None,
    Field(
        description="corrections included in the potential's energies; null: as listed in docs/reference/potentials.md"
    ),
]


class ChosenPotential(StrictModel):
    """An interatomic potential with its weights."""

    calculator: Calculator
    model: WeightsName = None
    corrections: Corrections = None

    def energies(self) -> PotentialEnergies:
        """Return a description of its energies."""
        return energies_of(self.calculator, self.model)

    def energy_corrections(self) -> str | None:
        """Return the corrections contained in its energies; None if unknown."""
        return self.energies().corrections or self.corrections

    def identity(self) -> dict[str, Any]:
        """Return the names of the potential and its weights."""
        model = model_of(self.calculator, self.model)
        return {"calculator": self.calculator} | ({} if model is None else {"model": model})

    def versions(self) -> dict[str, str]:
        """Return the versions of everything that affects its energies."""
        return calculator_versions(self.calculator)

    def describe(self) -> str:
        """Return its name, with that of its weights unless they are the default."""
        return self.calculator if self.model is None else f"{self.calculator} {self.model}"

    def load(self, *, steps: int, force_tolerance: float, guards: Guards) -> Relaxer:
        """Return the loaded potential."""
        return Relaxer(self.calculator, model=self.model, steps=steps, force_tolerance=force_tolerance, guards=guards)

    def problems(self, elements: Sequence[str], field: FieldPath) -> Iterator[ScorerProblem]:
        """Yield problems: energies of another kind, unknown weights, or elements that EMT does not describe.

        Parameters
        ----------
        field
            Its path in a campaign file.
        """
        if wrong := model_problem(self.calculator, self.model):
            yield ScorerProblem((*field, "model"), wrong)
            return
        known = self.energies()
        if known.functional == "r2SCAN":
            key, value = ("calculator", self.calculator) if self.model is None else ("model", self.model)
            yield ScorerProblem(
                (*field, key),
                f"found {value!r}, which gives energies of r2SCAN; references and relaxations are PBE, and energies "
                "of two functionals must not be mixed in one hull; right: a potential trained on PBE, e.g. CHGNet",
            )
        if None not in (self.corrections, known.corrections) and self.corrections != known.corrections:
            yield ScorerProblem(
                (*field, "corrections"),
                f"found {self.corrections!r}, but energies of {self.describe()} contain {known.corrections} "
                f"({known.evidence}); right: {known.corrections}, or null",
            )
        if self.calculator == EMT:
            yield from self._unknown(elements, field)

    def problems_here(self, elements: Sequence[str], field: FieldPath) -> Iterator[ScorerProblem]:
        """Check that its package and weights are on this machine, and query it for the elements."""
        if self.calculator == EMT or model_problem(self.calculator, self.model):
            return
        if missing := missing_weights(self.calculator, self.model):
            yield ScorerProblem((*field, "calculator" if self.model is None else "model"), missing)
            return
        try:
            yield from self._unknown(elements, field)
        except MissingExtraError as error:
            yield ScorerProblem((*field, "calculator"), f"found {self.calculator!r}, but {error}")
        except Exception as error:  # each package has its own errors
            logger.info("%s cannot be loaded", self.describe(), exc_info=True)
            yield ScorerProblem(
                (*field, "calculator"),
                f"found {self.calculator!r}, which cannot be loaded here ({type(error).__name__}: {error}); some "
                "potentials fetch their weights when they are first used: try it once where there is a network",
            )

    def _unknown(self, elements: Sequence[str], field: FieldPath) -> Iterator[ScorerProblem]:
        for symbol in unknown_elements(self.calculator, elements, model=self.model):
            yield ScorerProblem(
                ("candidates", "elements", symbol),
                f"found {symbol!r}: the potential {self.describe()} ({dotted((*field, 'calculator'))}) does not "
                "know it; leave it out, or take another potential",
            )
