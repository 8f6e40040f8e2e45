"""Progress of each stage of a campaign, shown as bars by `campaign run` and on its page."""

from collections.abc import Mapping
from dataclasses import dataclass

from campaign.store.states import SCREENED, CandidateState
from campaign.views.status.counts import Status
from campaign.views.status.funnel import Decided


@dataclass(frozen=True, kw_only=True)
class StageShare:
    """Progress of a stage.

    Attributes
    ----------
    key
        ``references``, ``training``, ``prefilter``, ``dos``, ``predicted``, ``decided`` or ``relaxed``.
    title
        Title for users.
    done, whole
        Number of candidates through the stage, permanent failures included, and number expected to pass it so far.
    """

    key: str
    title: str
    done: int
    whole: int

    @property
    def share(self) -> float:
        """Fraction that is done, 0 to 1."""
        return min(self.done / self.whole, 1.0) if self.whole else 0.0


def stage_shares(
    status: Status, counts: Mapping[tuple[str, str], int], decided: Decided, *, predicted: int
) -> list[StageShare]:
    """Return the stages of a campaign in order, without those it does not have.

    Parameters
    ----------
    counts
        Candidates by ``(role, state)``.
    predicted
        Number of candidates predicted and not decided on yet (`campaign.views.status.scoring`).
    """
    found = [_share("references", "references", status.references)]
    if status.purpose == "screening":
        found.append(_share("training", "training sample", status.bootstrap))
    if status.prefilter is not None:
        found.append(_share("prefilter", "prefilter", status.prefilter))
    if status.needs_dos:
        found.append(_share("dos", "IS-DOS", status.dos))
    if status.purpose == "screening":
        # a candidate without its IS-DOS is never decided on
        screened = sum(number for (role, _), number in counts.items() if role == SCREENED)
        to_decide = screened - counts.get((SCREENED, CandidateState.DOS_FAILED), 0)
        if predicted:
            done = min(decided.number + predicted, to_decide)
            found.append(StageShare(key="predicted", title="predicted", done=done, whole=to_decide))
        found.append(
            StageShare(key="decided", title="decided on", done=min(decided.number, to_decide), whole=to_decide)
        )
        found.append(StageShare(key="relaxed", title="relaxed", done=decided.relaxed, whole=decided.sent))
    else:
        found.append(_share("relaxed", "relaxed", status.bootstrap))
    return [stage for stage in found if stage.whole]


def _share(key: str, title: str, counts: Mapping[str, int]) -> StageShare:
    return StageShare(key=key, title=title, done=counts["done"], whole=counts["all"])
