"""What a check has found wrong, and how to mend it."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing that is wrong in a campaign.

    Attributes
    ----------
    check
        The invariant that does not hold, in a few words; the same for everything of its kind.
    subject
        What it is about: the id of a candidate, a reference, a step, an attempt, a firework.
    problem
        What was found there, and what would be right.
    remedy
        One command that mends it, or that shows more where only a person can decide; whatever else there is to say
        stands in brackets after it.
    """

    check: str
    subject: str
    problem: str
    remedy: str

    @property
    def key(self) -> tuple[str, str]:
        """What identifies it when one looks again."""
        return self.check, self.subject
