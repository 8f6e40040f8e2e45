"""Common base of scorers that relax candidates with interatomic potentials."""

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Annotated, ClassVar

from pydantic import Field

from campaign.scorers.base import ActorSettings, Score, Scorer, ScoringContext
from campaign.scorers.relaxation_order import Formed
from campaign.scorers.relaxing import Relaxations

Steps = Annotated[int, Field(ge=2, le=100_000, description="maximum number of steps in a relaxation")]
ForceTolerance = Annotated[float, Field(gt=0.0, le=1.0, description="largest force at the end of a relaxation in eV/A")]


class RelaxingScorer(Scorer):
    """A scorer that relaxes; needs no DOS and no training."""

    needs_dos: ClassVar[bool] = False
    needs_model: ClassVar[bool] = False
    needs_element_crystals: ClassVar[bool] = True

    @abstractmethod
    def relaxations(self) -> Relaxations:
        """Return how its candidates are relaxed."""

    @abstractmethod
    def predict(self, formed: Formed) -> Score:
        """Return the prediction from a candidate's formation energies."""

    def score(self, ids: Sequence[str], context: ScoringContext) -> Iterator[Score]:
        """Relax the elements' crystals once, then the candidates; yield each candidate when it is done."""
        for formed in self.relaxations().run(ids, context):
            yield self.predict(formed)

    def connected(self, context: ScoringContext) -> AbstractContextManager[None]:
        """Stay connected to Ray if the relaxations use it."""
        return self.relaxations().connected(context)

    def uses_ray(self, actors: ActorSettings) -> bool:
        """Whether ``screening.actors`` is set and Ray is installed."""
        return actors.actors is not None and self.relaxations().uses_ray(actors)

    def gives_novelty(self) -> bool:
        """Return False: a potential does not state its training data."""
        return False
