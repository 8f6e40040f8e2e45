"""StrictModel ``retries``: what happens after machine failures."""

from pydantic import Field

from campaign.config.strict_model import StrictModel


class RetrySection(StrictModel):
    """What happens after a machine failure (killed, out of time, disk full, database away)."""

    max_retries: int = Field(
        default=2, ge=0, le=100, description="tries after the first one; science failures get none"
    )
    time_factor: float = Field(
        default=2.0, ge=1.0, le=10.0, description="how much more time the next job asks for, where it ran out of time"
    )
    memory_factor: float = Field(
        default=1.5, ge=1.0, le=10.0, description="the same for memory, where it ran out of memory"
    )
    stop_after: int = Field(
        default=3,
        ge=0,
        le=1000,
        description="stop submitting after so many calculations in a row that failed alike at the start; 0: never",
    )
    database_wait_hours: float = Field(
        default=2.0,
        ge=0.0,
        le=168.0,
        description="how long a job waits for a database that is away, in hours; its result stays in its folder",
    )

    @property
    def database_wait_s(self) -> float:
        """`database_wait_hours` in seconds."""
        return 3600.0 * self.database_wait_hours
