"""A problem found by a check, and its remedy."""

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
        One command that fixes it, or that shows more if a person has to decide; additional information follows in
        brackets.
    """

    check: str
    subject: str
    problem: str
    remedy: str

    @property
    def key(self) -> tuple[str, str]:
        """What identifies it when one looks again."""
        return self.check, self.subject
