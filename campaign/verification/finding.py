"""A problem found by a check, and its remedy."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Finding:
    """A violated invariant of a campaign.

    Attributes
    ----------
    check
        The invariant in a few words, the same for all findings of its kind.
    subject
        Id of the candidate, reference, step, attempt or firework concerned.
    problem
        What was found, and what would be right.
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
        """Key that identifies the finding in a repeated check."""
        return self.check, self.subject
