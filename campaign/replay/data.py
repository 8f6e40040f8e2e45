"""Known data for a replay, from a table, an ESNet data set or a campaign."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from campaign.config.wording import format_count
from campaign.replay.candidate import KnownCandidate
from campaign.spec.sections.stable import StableSection
from esnet.files.errors import UserError

_SHOWN = 20


class ReplayDataError(UserError, ValueError):
    """Known data cannot be replayed; `problems` lists all reasons."""

    def __init__(self, source: Path | str, problems: Iterable[str]) -> None:
        self.problems = tuple(problems)
        count = len(self.problems)
        lines = [f"{source}: {format_count(count, 'problem')}; nothing was replayed."]
        lines += [f"  {problem}" for problem in self.problems[:_SHOWN]]
        if count > _SHOWN:
            lines.append(f"  ... and {count - _SHOWN} more")
        super().__init__("\n".join(lines))


class PredictionError(NamedTuple):
    """Mean absolute error of predicted formation energies in eV/atom (None if there are none), and their number."""

    mae: float | None
    n: int


@dataclass(frozen=True, kw_only=True)
class ReplayData:
    """Candidates with known relaxations.

    Attributes
    ----------
    candidates
        The candidates, at least one.
    source
        Short description of the source.
    notes
        Notes for the reader of the replay.
    stable
        The source's definition of stable; None if it has none.
    scorers
        For data with several scorers, the candidates as predicted by each, by the scorer's name, with the cost of its
        prediction in place of an IS-DOS; `candidates` are those of the first. Empty for a single scorer.
    uncertainty_from
        Possible source of uncertainties, for the message about missing ones.

    Examples
    --------
    >>> import campaign
    >>> data = campaign.read_replay_data("examples/replay.csv")
    >>> data.candidates[0].id, len(data.notes)
    ('AlTi-B1', 0)
    """

    candidates: tuple[KnownCandidate, ...]
    source: str
    notes: tuple[str, ...] = ()
    stable: StableSection | None = None
    scorers: Mapping[str, tuple[KnownCandidate, ...]] = field(default_factory=dict)
    uncertainty_from: str = "predictions with an uncertainty"

    def by_scorer(self) -> Mapping[str, tuple[KnownCandidate, ...]]:
        """Return the candidates by the scorer that predicts them.

        Returns
        -------
        mapping
            `scorers`, or `candidates` under an empty name for a single scorer.

        Examples
        --------
        >>> import campaign
        >>> data = campaign.read_replay_data("examples/replay.csv")
        >>> [(name, len(found)) for name, found in data.by_scorer().items()]
        [('', 60)]
        """
        return self.scorers or {"": self.candidates}

    def prediction_error(self) -> PredictionError:
        """Return the mean absolute error of ``e_form_ml`` for candidates with a known ``e_form``.

        Returns
        -------
        PredictionError
            ``mae`` in eV/atom (None if there is nothing to compare), and the number of candidates ``n``.

        Examples
        --------
        >>> import campaign
        >>> error = campaign.read_replay_data("examples/replay.csv").prediction_error()
        >>> round(error.mae, 3), error.n
        (0.136, 60)
        """
        return prediction_error(self.candidates)


def prediction_error(candidates: Sequence[KnownCandidate]) -> PredictionError:
    """Return the mean absolute error of ``e_form_ml`` for candidates with a known ``e_form``."""
    errors = [
        abs(found.e_form_ml - found.e_form)
        for found in candidates
        if not found.relaxation_failed and math.isfinite(found.e_form_ml) and math.isfinite(found.e_form)
    ]
    return PredictionError(mae=math.fsum(errors) / len(errors) if errors else None, n=len(errors))
