"""Several scorers as one: each predicts every candidate, and their predictions are weighted.

The predictions are combined when they are written (`campaign.steps.energies`), once all have the energy scheme of the
references; for the formula see `campaign.combination.weights`.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import chain, zip_longest
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, SerializeAsAny, ValidationInfo

from campaign.combination.weights import MOST_MEMBERS
from campaign.config.yaml_file import FieldPath
from campaign.scorers.base import (
    ActorSettings,
    Score,
    ScoredCampaign,
    Scorer,
    ScorerProblem,
    ScoringContext,
    checked_scores,
)
from campaign.scorers.members import make_member
from campaign.scorers.placed import placed

COMBINED = "combined"
COMBINE = "combine"


@dataclass(frozen=True, kw_only=True)
class Part:
    """Prediction of one of several scorers for a candidate.

    Attributes
    ----------
    scorer
        Name of the scorer, see `Combined.member_names`.
    score
        Its prediction.
    corrections
        Corrections in its energy, ``none`` or ``mp2020``; None: unknown.
    weight
        Weight in the combined prediction, 0 to 1; None if not combined or without an energy.
    """

    scorer: str
    score: Score
    corrections: str | None
    weight: float | None = None


@dataclass(frozen=True)
class CombinedScore(Score):
    """Predictions of several scorers for a candidate: `parts`, one for each scorer, in their order."""

    parts: tuple[Part, ...] = ()

    @classmethod
    def of(cls, name: str, parts: Sequence[Part]) -> "CombinedScore":
        """Create the score before it is combined: with the first available energy, and the reasons of scorers without
        one.
        """
        first = next((part.score for part in parts if part.score.e_form is not None), None)
        novel = {part.score.novel for part in parts}
        return cls(
            id=name,
            e_form=None if first is None else first.e_form,
            uncertainty=None if first is None else first.uncertainty,
            reason=reasons(parts),
            novel=next((said for said in (True, False) if said in novel), None),
            parts=tuple(parts),
        )


def reasons(parts: Iterable[Part]) -> str | None:
    """Return which scorers give no energy, and why; None if all give one."""
    return "; ".join(f"{part.scorer}: {part.score.reason}" for part in parts if part.score.e_form is None) or None


def _made(value: Any, info: ValidationInfo) -> Any:
    return make_member(value, info.context) if isinstance(value, dict) else value


def _check(members: list[Scorer]) -> list[Scorer]:
    if not 2 <= len(members) <= MOST_MEMBERS:
        raise ValueError(f"{len(members)} of them; right: two scorers or more, at most {MOST_MEMBERS}")
    if any(isinstance(member, Combined) for member in members):
        raise ValueError("a scorer that combines others; right: those others in one list")
    return members


Member = Annotated[SerializeAsAny[Scorer], BeforeValidator(_made)]


class Combined(Scorer):
    """Predict each candidate with all scorers; the weights follow from their standard deviations and correlation."""

    kind: Literal["combined"] = Field(default="combined", description="combined; it may be left out")
    combine: Annotated[list[Member], AfterValidator(_check)] = Field(
        description="two scorers or more, each as in this section with its kind; each must give an uncertainty"
    )

    def members(self) -> tuple[Scorer, ...]:
        """Return the scorers in the order of the file."""
        return tuple(self.combine)

    def member_names(self) -> tuple[str, ...]:
        """Return the names of the scorers, all different."""
        counted, names = Counter[str](), []
        for member in self.combine:
            counted[name := member.short_name()] += 1
            names.append(name if counted[name] == 1 else f"{name} {counted[name]}")
        return tuple(names)

    @property
    def needs_dos(self) -> bool:  # type: ignore[override]
        """Whether one of the scorers needs an IS-DOS of every candidate."""
        return any(member.needs_dos for member in self.combine)

    @property
    def needs_model(self) -> bool:  # type: ignore[override]
        """Whether one of the scorers is the campaign's ESNet."""
        return any(member.needs_model for member in self.combine)

    @property
    def needs_element_crystals(self) -> bool:  # type: ignore[override]
        """Whether one of the scorers relaxes or computes the elements."""
        return any(member.needs_element_crystals for member in self.combine)

    def score(self, ids: Sequence[str], context: ScoringContext) -> Iterator[Score]:
        """Run the scorers; yield each candidate once all have predicted it. Known scores are not computed again.

        Scorers that relax run last, and in turn, candidate by candidate: a killed Screen repeats the others, which take
        seconds, and the relaxations in progress. With Ray, whose actors one scorer occupies at a time, they run one
        after the other, and a killed Screen repeats those before the last one.
        """
        names, known = self.member_names(), context.known_parts(ids)
        parts: dict[str, dict[int, Part]] = {name: dict(known.get(name, {})) for name in ids}
        order = sorted(range(len(names)), key=lambda place: self.combine[place].relaxes())
        uses_ray = any(member.uses_ray(context.actors) for member in self.combine if member.relaxes())
        last = order[-1:] if uses_ray else [place for place in order if self.combine[place].relaxes()] or order[-1:]

        def asked(place: int) -> Iterator[str]:
            member = self.combine[place]
            corrections = member.energy_corrections(context.campaign)
            missing = [name for name in ids if place not in known.get(name, {})]
            for score in checked_scores(member.score(missing, context), missing) if missing else ():
                parts[score.id][place] = Part(scorer=names[place], score=score, corrections=corrections)
                yield score.id

        for place in order[: -len(last)]:
            for _ in asked(place):
                pass
        complete = [name for name in ids if all(place in known.get(name, {}) for place in last)]
        in_turn = (name for turn in zip_longest(*map(asked, last)) for name in turn if name is not None)
        for name in chain(complete, in_turn):
            # once it is complete, the other scorers of the same turn name it again
            if len(parts.get(name, ())) == len(names):
                found = parts.pop(name)
                yield CombinedScore.of(name, [found[place] for place in range(len(names))])

    @contextmanager
    def connected(self, context: ScoringContext) -> Iterator[None]:
        """Keep up what the scorers need."""
        with ExitStack() as stack:
            for member in self.combine:
                stack.enter_context(member.connected(context))
            yield

    def uses_ray(self, actors: ActorSettings) -> bool:
        """Whether one of the scorers uses Ray."""
        return any(member.uses_ray(actors) for member in self.combine)

    def lacks_dos(self, score: Score) -> bool:
        """Whether a scorer that needs the IS-DOS gave no energy."""
        parts = zip(self.combine, score.parts, strict=True) if isinstance(score, CombinedScore) else ()
        return any(member.lacks_dos(part.score) for member, part in parts)

    def identity(self, campaign: ScoredCampaign) -> dict[str, Any]:
        """Return the identities of all scorers; their versions are listed together."""
        identities = [member.identity(campaign) for member in self.combine]
        versions: dict[str, str] = {}
        for each in identities:
            versions |= each.pop("versions", None) or {}
        return {"kind": self.kind, COMBINE: identities, "versions": versions}

    def energy_corrections(self, campaign: ScoredCampaign | None) -> str | None:
        """Return the corrections common to all scorers; ``none`` if they differ, since each is converted; None if any
        is unknown.
        """
        given = {member.energy_corrections(campaign) for member in self.combine}
        if None in given:
            return None
        return given.pop() if len(given) == 1 else "none"

    def bundles(self) -> tuple[Path, ...]:
        """Return the bundles of all scorers, each once."""
        return tuple(dict.fromkeys(path for member in self.combine for path in member.bundles()))

    def problems(self, elements: Sequence[str]) -> Iterator[ScorerProblem]:
        """Yield the problems of each scorer, and scorers that predict the same as an earlier one."""
        sources = [member.source() for member in self.combine]
        for place, member in enumerate(self.combine):
            if sources[place] in sources[:place]:
                yield ScorerProblem(
                    ("scorer", COMBINE, place),
                    f"found {member.short_name()} once more: its predictions would count as another opinion, but they "
                    "are the same; right: each scorer once",
                )
            yield from (_moved(problem, place) for problem in member.problems(elements))

    def problems_here(self, elements: Sequence[str]) -> Iterator[ScorerProblem]:
        """Yield the reasons why any of the scorers cannot work on this machine."""
        for place, member in enumerate(self.combine):
            yield from (_moved(problem, place) for problem in member.problems_here(elements))

    def gives_uncertainty(self) -> bool | None:
        """Whether all scorers give a standard deviation; None if unknown."""
        said = [member.gives_uncertainty() for member in self.combine]
        return None if None in said else all(said)

    def gives_novelty(self) -> bool | None:
        """Whether one of the scorers states which candidates are novel; None if unknown."""
        said = [member.gives_novelty() for member in self.combine]
        return True if True in said else None if None in said else False

    def short_name(self) -> str:
        """Return e.g. ``ESNet+CHGNet``."""
        return "+".join(self.member_names())

    def describe(self) -> str:
        """Return a short description."""
        *first, last = self.member_names()
        return f"{', '.join(first)} and {last}, combined"


def _moved(problem: ScorerProblem, place: int) -> ScorerProblem:
    """Return a member's problem, which it reports for the section ``scorer``, with its actual path."""
    return placed(problem, ("scorer", COMBINE, place))


def member_path(path: FieldPath, place: int) -> FieldPath:
    """Return the path of a member's field; other paths are returned unchanged."""
    return ("scorer", COMBINE, place, *path[1:]) if path[:1] == ("scorer",) else path
