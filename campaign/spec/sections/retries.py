"""Section ``retries``: retries after machine failures."""

from pydantic import Field

from campaign.config.strict_model import StrictModel


class RetrySection(StrictModel):
    """Retries after a machine failure (killed, out of time, disk full, database unavailable)."""

    max_retries: int = Field(
        default=2, ge=0, le=100, description="maximum number of retries; science failures are not retried"
    )
    time_factor: float = Field(
        default=2.0,
        ge=1.0,
        le=10.0,
        description="factor by which the walltime grows on each retry after a job ran out of time",
    )
    memory_factor: float = Field(
        default=1.5,
        ge=1.0,
        le=10.0,
        description="factor by which the memory grows on each retry after a job ran out of memory",
    )
    stop_after: int = Field(
        default=3,
        ge=0,
        le=1000,
        description="stop submitting after this number of consecutive calculations that failed in the same way at the "
        "start; 0: never",
    )
    database_wait_hours: float = Field(
        default=2.0,
        ge=0.0,
        le=168.0,
        description="how long a job waits for an unavailable database, in hours; its result is kept in its folder",
    )

    @property
    def database_wait_s(self) -> float:
        """`database_wait_hours` in seconds."""
        return 3600.0 * self.database_wait_hours
