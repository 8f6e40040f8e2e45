"""Base class of scorers, which predict formation energies of candidates' relaxed crystals.

Shipped scorers are ESNet (`campaign.scorers.esnet`), interatomic potentials (`campaign.scorers.force_field`,
`campaign.scorers.ensemble`), trained graph models (`campaign.scorers.baseline`) and the energies of the IS-DOS
calculations (`campaign.scorers.single_point`); other packages may add more (docs/reference/scorers.md).
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


REFERENCES = "references"
"""Energy corrections of a scorer whose energies already have those of the campaign's references."""


class ScorerError(RuntimeError):
    """A scorer's results do not match the ids it was given."""


#: A scorer's prediction for one candidate; the name that scorers of other packages import.
Score = Prediction


class ScorerProblem(NamedTuple):
    """Reason why a scorer cannot work for a campaign.

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
    """Settings of a campaign's Ray actors (section ``screening``)."""

    actors: int | None
    actor_batch: int | None
    gpus_per_actor: float | None


class ScoredCampaign(Protocol):
    """The parts of a campaign that are visible to its scorer."""

    @property
    def name(self) -> str:
        """Name of the campaign."""

    @property
    def model_checksum(self) -> str | None:
        """Checksum of the campaign's ESNet; None if it has none."""

    @property
    def model_corrections(self) -> str | None:
        """Corrections in the energies of that ESNet, ``none`` or ``mp2020``; None if unknown."""

    def scorer_bundle(self, path: Path) -> Mapping[str, Any]:
        """Return the stored description of one of the scorer's trained models (`Scorer.bundles`).

        Its keys are ``checksum``, ``network`` and ``corrections``.
        """


class ScoringContext(Protocol):
    """Data that a Screen passes to a scorer besides the ids; a scorer has no access to the database.

    Attributes
    ----------
    step_id
        Id of the Screen, e.g. ``alloys/screen/0``; None outside one.
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
        """Yield id and unrelaxed crystal of each candidate, in no particular order."""

    def element_structures(self, symbol: str) -> list[Structure]:
        """Return the unrelaxed crystals of an element: the campaign's reference phases, otherwise the built-in one.

        Raises
        ------
        campaign.candidates.elements.MissingReferenceError
            If there is neither.
        """

    def single_points(self, ids: Sequence[str]) -> Iterator[Score]:
        """Yield the formation energy of each unrelaxed crystal by its IS-DOS calculation, or why there is none.

        Reference phases and corrections are those of the campaign's results.
        """

    def kept_energies(self) -> Mapping[str, Any]:
        """Return energies of the elements that earlier Screens have relaxed, eV/atom, by the scorer's own keys."""

    def keep_energies(self, energies: Mapping[str, float]) -> None:
        """Keep energies of the elements for later Screens."""

    def bundle(self) -> Path:
        """Return the folder of the campaign's model on this machine."""

    def scorer_bundle(self, path: Path) -> Path:
        """Return the folder on this machine of one of the scorer's trained models (`Scorer.bundles`)."""

    def representation(self) -> Representation:
        """Return the representation of the campaign's features."""

    def feature_reader(self) -> ReadFeatures:
        """Return a reader of IS-DOS and compositions by id, which can be pickled."""

    def known_parts(self, ids: Sequence[str]) -> Mapping[str, Mapping[int, Any]]:
        """Return known scores of a combination's members by id and position.

        They are `campaign.scorers.combined.Part` of the same scorers, in the energy scheme of the references.
        """


class Scorer(StrictModel, ABC):
    """A way to predict formation energies; also the section ``scorer`` of a campaign file.

    To add one, write a subclass with its own ``kind`` (``kind: Literal["mine"] = "mine"``), its settings as fields,
    `score`
    and `identity`; then add an entry point ``mine = "package.module:Class"`` in the group ``esnet_campaign.scorers`` of
    your package (docs/reference/scorers.md).
    """

    kind: str
    needs_dos: ClassVar[bool] = False
    """Whether every candidate gets an IS-DOS before it is scored."""
    needs_model: ClassVar[bool] = False
    """Whether it uses the campaign's ESNet: a given bundle, or one trained on a bootstrap sample."""
    needs_element_crystals: ClassVar[bool] = False
    """Whether it needs a crystal of each element even if the reference phases' energies come from a file."""

    @abstractmethod
    def score(self, ids: Sequence[str], context: ScoringContext) -> Iterable[Score]:
        """Predict; yield one `Score` per id, in any order.

        Called in the Screen's process, which may be killed and call it again with the same ids.
        """

    def connected(self, context: ScoringContext) -> AbstractContextManager[None]:
        """Return a context that keeps up what scoring needs (Ray, a service) while a Screen scores and decides."""
        return nullcontext()

    def uses_ray(self, actors: ActorSettings) -> bool:
        """Whether its Screens need Ray; `campaign run` then starts one Ray for all of them."""
        return self.needs_model

    @abstractmethod
    def identity(self, campaign: ScoredCampaign) -> dict[str, Any]:
        """Return what identifies the scorer, stored with every prediction (JSON types).

        Starts with ``kind``, followed by a checksum of the model, or the calculator's name, its settings and
        ``versions``.
        Scorers that differ only in ``versions`` count as the same when predictions are recalibrated.
        """

    def energy_corrections(self, campaign: ScoredCampaign | None) -> str | None:
        """Return the corrections contained in its formation energies (``none`` or ``mp2020``; None: unknown).

        `REFERENCES` if they have those of the campaign's references. Other predictions are converted from these to the
        corrections of the campaign's references (`campaign.hull.corrections`).
        Without a campaign, the answer is based on the settings alone.
        """
        return None

    def bundles(self) -> tuple[Path, ...]:
        """Return the folders of trained graph models that it uses, as named in the campaign file.

        They are stored in the database when a campaign starts; every machine that scores fetches them from there.
        """
        return ()

    def problems(self, elements: Sequence[str]) -> Iterator[ScorerProblem]:
        """Yield reasons why it cannot work for candidates of these elements; called whenever a campaign file
        is read.
        """
        yield from ()

    def problems_here(self, elements: Sequence[str]) -> Iterator[ScorerProblem]:
        """Yield reasons why it cannot work on this machine (a missing package); skipped with ``--engine-elsewhere``."""
        yield from ()

    def relaxes(self) -> bool:
        """Whether predicting takes a relaxation of each candidate, the expensive part of a combination."""
        return self.needs_element_crystals

    def source(self) -> Mapping[str, Any]:
        """Return what determines its energies: scorers with equal sources predict the same, and are not combined.

        By default all settings but ``uncertainty``.
        """
        return {**self.to_dict(), "uncertainty": None}

    def members(self) -> tuple["Scorer", ...]:
        """Return the scorers that it combines, or itself."""
        return (self,)

    def member_names(self) -> tuple[str, ...]:
        """Return the names of these, all different."""
        return (self.short_name(),)

    def lacks_dos(self, score: Score) -> bool:
        """Whether it may have given no energy because the candidate's IS-DOS cannot be used."""
        return self.needs_dos and score.e_form is None

    def gives_uncertainty(self) -> bool | None:
        """Whether its predictions have a standard deviation; None if known only after scoring, or from ESNet's
        bundle.
        """
        return None

    def gives_novelty(self) -> bool | None:
        """Whether its predictions state which candidates are novel; None if known only after scoring."""
        return None

    def describe(self) -> str:
        """Return a short description."""
        return self.kind

    def short_name(self) -> str:
        """Return its name next to other scorers, e.g. ``CHGNet``."""
        return self.kind

    def to_dict(self) -> dict[str, Any]:
        """Return kind and settings, as in a campaign file."""
        return self.model_dump(mode="json")


def checked_scores(scores: Iterable[Score], ids: Sequence[str]) -> Iterator[Score]:
    """Yield a scorer's results after checking them.

    Yields
    ------
    Score
        One for each id. An energy or standard deviation that is not a finite number becomes None, with the reason.

    Raises
    ------
    ScorerError
        If an id is unexpected or repeated; at the end, if one is missing.
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
    """Return a stored identity as text."""
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
