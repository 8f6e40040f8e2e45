"""What a scorer is: ids of candidates in, formation energies of their relaxed crystals out.

ESNet is one (`campaign.scorers.esnet`); others are interatomic potentials (`campaign.scorers.force_field`,
`campaign.scorers.ensemble`) and trained graph models (`campaign.scorers.baseline`); other packages may bring more
(docs/reference/scorers.md).
"""

import logging
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, Protocol

from pymatgen.core import Structure

from campaign.config.strict_model import StrictModel
from campaign.config.yaml_file import FieldPath
from esnet.representation.features import Representation
from esnet.scoring.batch import ReadFeatures
from esnet.scoring.prediction import Prediction
from esnet.scoring.scoring import Usage

logger = logging.getLogger(__name__)


class ScorerError(RuntimeError):
    """A scorer answered something else than it was asked."""


#: What a scorer says of one candidate; the name that scorers of other packages import.
Score = Prediction


class ScorerProblem(NamedTuple):
    """Why a scorer cannot work for a campaign.

    Attributes
    ----------
    field
        Path inside ``spec.campaign``; an element is ``("candidates", "elements", symbol)``.
    message
        What was found and what would be right.
    """

    field: FieldPath
    message: str


class ActorSettings(Protocol):
    """The settings of a campaign's Ray actors (section ``screening``)."""

    actors: int | None
    actor_batch: int | None
    gpus_per_actor: float | None


class ScoredCampaign(Protocol):
    """What a scorer may know of the campaign that it works for."""

    @property
    def name(self) -> str:
        """The campaign's name."""

    @property
    def model_checksum(self) -> str | None:
        """Checksum of the campaign's ESNet; None where it has none."""

    @property
    def model_corrections(self) -> str | None:
        """Corrections in the energies of that ESNet, ``none`` or ``mp2020``; None where they are not known."""

    def scorer_bundle(self, path: Path) -> Mapping[str, Any]:
        """What the campaign stored when it took in a trained model of its scorer (`Scorer.bundles`).

        ``checksum``, ``network`` and ``corrections``.
        """


class ScoringContext(Protocol):
    """What a Screen hands to a scorer beside the ids; a scorer knows no database.

    Attributes
    ----------
    step_id
        The Screen that asks, e.g. ``alloys/screen/0``; None outside one.
    on_usage
        Called with the usage of other processes (Ray's actors) and of GPUs, for the ledger.
    """

    @property
    def campaign(self) -> ScoredCampaign: ...
    @property
    def actors(self) -> ActorSettings: ...
    @property
    def step_id(self) -> str | None: ...
    @property
    def on_usage(self) -> Callable[[Usage], None]: ...

    def structures(self, ids: Sequence[str]) -> Iterator[tuple[str, Structure]]:
        """Read ids and unrelaxed crystals of candidates, one after the other, in no particular order."""

    def element_structures(self, symbol: str) -> list[Structure]:
        """Unrelaxed crystals of an element: the campaign's reference phases, or else the built-in one.

        Raises
        ------
        campaign.candidates.elements.MissingReferenceError
            If there is neither.
        """

    def bundle(self) -> Path:
        """Folder of the campaign's model on this machine."""

    def scorer_bundle(self, path: Path) -> Path:
        """Folder on this machine of a trained model that the scorer names (`Scorer.bundles`)."""

    def representation(self) -> Representation:
        """Representation of the campaign's features."""

    def feature_reader(self) -> ReadFeatures:
        """Read IS-DOS and compositions by ids; can be sent to another process."""

    def known_parts(self, ids: Sequence[str]) -> Mapping[str, Mapping[int, Any]]:
        """What scorers of a combination have said of candidates before, by id and the scorer's place.

        `campaign.scorers.combined.Part`; of the same scorers, and in the energy scheme of the references.
        """


class Scorer(StrictModel, ABC):
    """One way to predict formation energies; also the section ``scorer`` of a campaign file.

    To add one: a subclass with its own ``kind`` (``kind: Literal["mine"] = "mine"``), its settings as fields,
    `score` and `identity`; then an entry point ``mine = "package.module:Class"`` in the group
    ``esnet_campaign.scorers`` of your package (docs/reference/scorers.md).
    """

    kind: str
    needs_dos: ClassVar[bool] = False
    """Whether every candidate gets an IS-DOS before it is scored."""
    needs_model: ClassVar[bool] = False
    """Whether it scores with the campaign's ESNet: a given bundle, or one trained on a bootstrap sample."""
    needs_element_crystals: ClassVar[bool] = False
    """Whether it needs a crystal of each element, also where the reference phases' energies come from a file."""

    @abstractmethod
    def score(self, ids: Sequence[str], context: ScoringContext) -> Iterable[Score]:
        """Predict; one `Score` for each id, in any order.

        Called in a Screen's own process. It may be killed and called again with the same ids.
        """

    def connected(self, context: ScoringContext) -> AbstractContextManager[None]:
        """Keep up what scoring needs (Ray, a service) while the block runs: a Screen scores and decides in it."""
        return nullcontext()

    def uses_ray(self, actors: ActorSettings) -> bool:
        """Whether its Screens need Ray: `campaign run` then starts one for all of them, which they join."""
        return self.needs_model

    @abstractmethod
    def identity(self, campaign: ScoredCampaign) -> dict[str, Any]:
        """Say what scores, so that it can be found again: stored with every prediction (JSON types).

        Begins with ``kind``; then a checksum of the model, or the calculator's name, its settings and ``versions``.
        What differs in ``versions`` alone counts as the same scorer where predictions are corrected by results.
        """

    def energy_corrections(self, campaign: ScoredCampaign | None) -> str | None:
        """Say which corrections its formation energies contain (``none`` or ``mp2020``; None: not known).

        A prediction gets those of the campaign's references from it (`campaign.hull.corrections`). Without a campaign:
        as far as the settings alone tell.
        """
        return None

    def bundles(self) -> tuple[Path, ...]:
        """Folders of trained graph models that it scores with, as the campaign file names them.

        They are stored in the database when a campaign starts, and every machine that scores fetches them from there.
        """
        return ()

    def problems(self, elements: Sequence[str]) -> Iterator[ScorerProblem]:
        """Say why it cannot work for candidates of these elements; called whenever a campaign file is read."""
        yield from ()

    def problems_here(self, elements: Sequence[str]) -> Iterator[ScorerProblem]:
        """Say why it cannot work on this machine (a package is missing); not looked at with ``--engine-elsewhere``."""
        yield from ()

    def members(self) -> tuple["Scorer", ...]:
        """The scorers that it consists of: itself, where it does not combine others."""
        return (self,)

    def member_names(self) -> tuple[str, ...]:
        """Names of these, all different."""
        return (self.short_name(),)

    def lacks_dos(self, score: Score) -> bool:
        """Whether it may give no energy because the candidate's IS-DOS cannot be used."""
        return self.needs_dos and score.e_form is None

    def gives_uncertainty(self) -> bool | None:
        """Whether its predictions have a standard deviation; None: known only after scoring. ESNet's bundle says it."""
        return None

    def gives_novelty(self) -> bool | None:
        """Whether its predictions say which candidates are novel; None: known only after scoring."""
        return None

    def describe(self) -> str:
        """Say in a few words what predicts."""
        return self.kind

    def short_name(self) -> str:
        """Its name beside other scorers, e.g. ``CHGNet``."""
        return self.kind

    def to_dict(self) -> dict[str, Any]:
        """Return its kind and settings, as in a campaign file."""
        return self.model_dump(mode="json")


def checked_scores(scores: Iterable[Score], ids: Sequence[str]) -> Iterator[Score]:
    """Check and pass on a scorer's results.

    Yields
    ------
    Score
        One for each id. An energy or a standard deviation that is not a number becomes None, with the reason.

    Raises
    ------
    ScorerError
        If an id was not asked for or comes twice; at the end, if one is missing.
    """
    missing, answered = set(ids), set[str]()
    for score in scores:
        if score.id not in missing:
            why = "twice" if score.id in answered else "without being asked"
            raise ScorerError(f"the scorer returned {score.id} {why}; right: one Score for each id")
        missing.remove(score.id)
        answered.add(score.id)
        usable = _usable(score)
        if usable.e_form is None:
            logger.warning("no prediction for %s: %s", usable.id, usable.reason)
        yield usable
    if missing:
        raise ScorerError(
            f"the scorer left out {len(missing)} of {len(set(ids))} candidates, among them "
            f"{', '.join(sorted(missing)[:5])}; "
            "right: one Score for each id, without an energy and with a reason where there is no prediction"
        )


def _usable(score: Score) -> Score:
    if score.e_form is None:
        return score if score.reason else replace(score, reason="the scorer gave no reason")
    if not math.isfinite(score.e_form):
        return Score(id=score.id, e_form=None, reason="the scorer gave no finite energy")
    if score.uncertainty is not None and not (math.isfinite(score.uncertainty) and score.uncertainty >= 0.0):
        return replace(score, uncertainty=None)
    return score


def identity_text(identity: Mapping[str, Any] | None) -> str:
    """A stored identity in words."""
    if not identity:
        return "an unknown scorer"
    if combined := identity.get("combine"):
        versions = [f"{name} {version}" for name, version in (identity.get("versions") or {}).items()]
        told = " and ".join(identity_text(each) for each in combined)
        return f"{told}, combined" + (f" ({', '.join(versions)})" if versions else "")
    parts = [
        f"{key} {str(value)[:12] if key == 'model' else value}"
        for key, value in identity.items()
        if key != "kind" and isinstance(value, str | int | float)
    ]
    versions = [f"{name} {version}" for name, version in (identity.get("versions") or {}).items()]
    return f"{identity['kind']} ({', '.join([*parts, *versions])})"
