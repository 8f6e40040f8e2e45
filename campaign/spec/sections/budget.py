"""Section ``budget``: limits on the cost of a campaign."""

from datetime import UTC, datetime

from pydantic import Field, field_validator

from campaign.config.strict_model import StrictModel
from campaign.policies.cost_model import PUBLISHED_DOS_CPU_S, PUBLISHED_RELAX_CPU_S


class BudgetSection(StrictModel):
    """Limits on the cost of a campaign, and rules to stop once it has found enough. Finished calculations are kept."""

    cpu_hours: float | None = Field(
        default=None,
        ge=0.0,
        description="CPU-hours for the whole campaign, including DOS and failed attempts; null: no limit",
    )
    relaxation_cpu_hours: float | None = Field(
        default=None,
        ge=0.0,
        description="CPU-hours for the relaxations of screened candidates; null: no limit except the policy's",
    )
    relaxations: int | None = Field(
        default=None, ge=0, description="maximum number of relaxations of screened candidates; null: no limit"
    )
    until: datetime | None = Field(
        default=None,
        strict=False,
        description="nothing more is submitted after this time, e.g. 2027-03-01T08:00:00Z; null: never",
    )
    stop_after_stable: int | None = Field(
        default=None, ge=1, description="stop when this number of stable materials is found; null: never"
    )
    stop_after_no_discovery: int | None = Field(
        default=None,
        ge=1,
        description="stop after this number of consecutive relaxations without a stable material; null: never",
    )
    relax_cpu_s: float = Field(
        default=PUBLISHED_RELAX_CPU_S,
        gt=0.0,
        description="assumed cost of a relaxation in CPU-s, until the first ones have finished",
    )
    dos_cpu_s: float = Field(
        default=PUBLISHED_DOS_CPU_S,
        gt=0.0,
        description="assumed cost of an IS-DOS in CPU-s, until the first ones have finished",
    )

    def is_limited(self) -> bool:
        """Whether any limit or stop rule is set."""
        return any(value is not None for name, value in self if name not in ("relax_cpu_s", "dos_cpu_s"))

    @field_validator("until")
    @classmethod
    def _with_time_zone(cls, value: datetime | None) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("has no time zone; add one, e.g. 2027-03-01T08:00:00Z for UTC")
        return value.astimezone(UTC)
