"""The remaining budget for relaxations, and the rules that stop them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, NamedTuple, Protocol, Self, TypeVar

from campaign.policies.base import Policy

Number = TypeVar("Number", int, float)


class BudgetRules(Protocol):
    """Settings of the section ``budget`` used here."""

    relaxation_cpu_hours: float | None
    stop_after_stable: int | None
    stop_after_no_discovery: int | None


class Reserved(NamedTuple):
    """CPU-seconds and number of relaxations used or reserved."""

    cpu_s: float = 0.0
    relaxations: int = 0


@dataclass(kw_only=True)
class RemainingBudget:
    """Budget that relaxations may still reserve; `take` reduces it.

    Attributes
    ----------
    cpu_s
        CPU-seconds, at estimated cost; None: no limit.
    relaxations
        Number of relaxations; None: no limit.
    closed
        Why nothing may be reserved any more (a date that has passed, a stop rule), or None.
    audit_cpu_s, audit_relaxations
        Part available to the audit, see `with_audit`; None: the audit's fraction of the remainder.
    """

    cpu_s: float | None = None
    relaxations: int | None = None
    closed: str | None = None
    audit_cpu_s: float | None = None
    audit_relaxations: int | None = None

    def refusal(self, cpu_s: float, *, reserved_cpu_s: float = 0.0, reserved: int = 0) -> str | None:
        """Return why one more relaxation of this cost may not be reserved, or None if it may.

        Parameters
        ----------
        cpu_s
            Its estimated cost.
        reserved_cpu_s, reserved
            Cost and number of relaxations to be kept free for others.
        """
        if self.closed is not None:
            return self.closed
        if self.relaxations is not None and self.relaxations - reserved < 1:
            return "no relaxation is left in the budget"
        if self.cpu_s is not None and cpu_s > self.cpu_s - reserved_cpu_s:
            aside = f", {_hours(reserved_cpu_s)} of them set aside for the audit" if reserved_cpu_s else ""
            return (
                f"its relaxation would cost about {_hours(cpu_s)} CPU-hours, and {_hours(max(self.cpu_s, 0.0))} are "
                f"left in the budget{aside}"
            )
        return None

    def take(self, cpu_s: float) -> None:
        """Reserve one relaxation."""
        if self.cpu_s is not None:
            self.cpu_s -= cpu_s
        if self.relaxations is not None:
            self.relaxations -= 1

    def with_audit(self, fraction: float, *, taken: Reserved, audited: Reserved) -> RemainingBudget:
        """Return this budget with the remainder of the audit's fraction of the whole relaxation budget.

        The same fraction of the remainder, taken anew at each Screen, would add up to more.

        Parameters
        ----------
        fraction
            Fraction for the audit.
        taken
            Used or reserved by relaxations so far, including those of the audit.
        audited
            Used or reserved by those of the audit.
        """
        cpu_s, relaxations = self.cpu_s, self.relaxations
        if cpu_s is not None:
            cpu_s = min(max(fraction * (cpu_s + taken.cpu_s) - audited.cpu_s, 0.0), max(cpu_s, 0.0))
        if relaxations is not None:
            # 0.29 * 100 is slightly less than 29
            whole = int(fraction * (relaxations + taken.relaxations) + 1e-9)
            relaxations = min(max(whole - audited.relaxations, 0), relaxations)
        return replace(self, audit_cpu_s=cpu_s, audit_relaxations=relaxations)

    def for_audit(self, fraction: float) -> RemainingBudget:
        """Return the audit's part of this budget."""
        of_what_is_left = self.with_audit(fraction, taken=Reserved(), audited=Reserved())
        cpu_s, relaxations = self.audit_cpu_s, self.audit_relaxations
        return RemainingBudget(
            cpu_s=of_what_is_left.audit_cpu_s if cpu_s is None else cpu_s,
            relaxations=of_what_is_left.audit_relaxations if relaxations is None else relaxations,
            closed=self.closed,
        )

    def tighter(self, other: RemainingBudget) -> RemainingBudget:
        """Return the smaller of two budgets, limit by limit."""
        return RemainingBudget(
            cpu_s=_least(self.cpu_s, other.cpu_s),
            relaxations=_least(self.relaxations, other.relaxations),
            closed=self.closed or other.closed,
        )

    def paced(self, share: float, *, taken: Reserved) -> RemainingBudget:
        """Return the remainder of a fraction of the whole relaxation budget.

        Parameters
        ----------
        share
            Fraction, from 0 to 1.
        taken
            Used or reserved by relaxations so far.
        """
        cpu_s, relaxations, later = self.cpu_s, self.relaxations, 1.0 - share
        if cpu_s is not None:
            cpu_s -= later * (cpu_s + taken.cpu_s)
        if relaxations is not None:
            # 0.1 * 30 is slightly more than 3
            relaxations -= math.ceil(later * (relaxations + taken.relaxations) - 1e-9)
        return replace(self, cpu_s=cpu_s, relaxations=relaxations)

    def to_dict(self) -> dict[str, Any]:
        """Return the stored form."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Create from the result of `to_dict`."""
        return cls(**data)


def hours_for_relaxations(budget: BudgetRules, policy: Policy) -> float | None:
    """Return the CPU-hours for relaxations of screened candidates: the budget's, otherwise the policy's; None: no
    limit.
    """
    given = budget.relaxation_cpu_hours
    return policy.relaxation_cpu_hours() if given is None else given


def stop_reason(budget: BudgetRules, *, stable: int, in_vain: int) -> str | None:
    """Return which stop rule of a budget is fulfilled, or None.

    Parameters
    ----------
    budget
        Has ``stop_after_stable`` and ``stop_after_no_discovery``.
    stable
        Stable materials found.
    in_vain
        Relaxations since the last stable one, without failed ones, which say nothing about stability.
    """
    enough, too_many = budget.stop_after_stable, budget.stop_after_no_discovery
    if enough is not None and stable >= enough:
        return f"{stable} stable materials found; the limit is {enough}"
    if too_many is not None and in_vain >= too_many:
        return f"the last {too_many} relaxations found nothing stable"
    return None


def _least(first: Number | None, second: Number | None) -> Number | None:
    given = [value for value in (first, second) if value is not None]
    return min(given, default=None)


def _hours(cpu_s: float) -> str:
    return f"{cpu_s / 3600:.3g}"
