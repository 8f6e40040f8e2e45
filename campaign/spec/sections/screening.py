"""Section ``screening``: predictions in batches."""

import math

from pydantic import Field, field_validator

from campaign.config.strict_model import StrictModel

_SMALL_BATCH, _OF_LARGE_BATCH = 100, 0.95


class ScreeningSection(StrictModel):
    """Batches in which predictions are made."""

    batch_size: int = Field(default=256, ge=1, le=100_000, description="number of candidates in one screening batch")
    min_completed_fraction: float | None = Field(
        default=None,
        gt=0.0,
        le=1.0,
        description="fraction of a batch's IS-DOS that must be done before the batch is screened; null: all for "
        "batches of fewer than 100 candidates, else 0.95",
    )
    dos_share: float = Field(
        default=0.5,
        ge=0.0,
        lt=1.0,
        description="fraction of the workers that run IS-DOS while relaxations wait too; 0: relaxations come first",
    )
    actors: int | None = Field(
        default=None,
        ge=1,
        le=10_000,
        description="number of Ray actors that score at the same time; null: as many as fit on Ray's GPUs, or one per "
        "node without GPUs",
    )
    gpus_per_actor: float | None = Field(
        default=None, ge=0.0, le=64.0, description="GPUs per actor, may be a fraction; null: 1 if Ray has any"
    )
    actor_batch: int | None = Field(
        default=None,
        ge=1,
        le=100_000,
        description="number of candidates that an actor reads and predicts together, 216 kB each; null: each actor's "
        "share of the screening batch, at most 256",
    )
    retrain_every: int | None = Field(
        default=None,
        ge=1,
        description="fine-tune the model after every N relaxations of screened candidates, each then with an RS-DOS; "
        "null: never",
    )
    recalibrate_every: int | None = Field(
        default=None,
        ge=1,
        description="after every N relaxations of screened candidates, recalibrate the predictions on the relaxed "
        "candidates (offsets of the elements, scale of the uncertainty), if that makes them more accurate; null: never",
    )

    def enough_of(self, size: int) -> int:
        """Return how many candidates of a batch of this size must have their IS-DOS, or have failed, before
        its Screen.
        """
        if self.min_completed_fraction is not None:
            return math.ceil(self.min_completed_fraction * size)
        # late candidates of a small batch would otherwise get a separate Screen of one or two
        return size if size < _SMALL_BATCH else math.ceil(_OF_LARGE_BATCH * size)

    @field_validator("gpus_per_actor")
    @classmethod
    def _part_or_whole(cls, value: float | None) -> float | None:
        if value is not None and value > 1.0 and not value.is_integer():
            raise ValueError("Ray gives an actor a part of one GPU or a whole number of them; right: e.g. 0.5 or 2")
        return value
