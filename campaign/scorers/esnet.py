"""ESNet as a scorer: a pool of Ray actors predicts from the IS-DOS."""

import importlib.util
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar, Literal

from pydantic import Field

from campaign.scorers.base import Score, ScoredCampaign, Scorer, ScorerProblem, ScoringContext
from esnet.ray.session import ray_session
from esnet.scoring.scoring import stream_predictions


class Esnet(Scorer):
    """The network of the section ``model``, in ``screening.actors`` Ray actors."""

    kind: Literal["esnet"] = Field(default="esnet", description="esnet")
    needs_dos: ClassVar[bool] = True
    needs_model: ClassVar[bool] = True

    def score(self, ids: Sequence[str], context: ScoringContext) -> Iterator[Score]:
        """Fetch the campaign's model and predict from the stored IS-DOS."""
        with self.connected(context):
            batches = stream_predictions(
                ids,
                bundle_path=context.bundle(),
                read_features=context.feature_reader(),
                name=context.step_id or context.campaign.name,
                n_actors=context.actors.actors,
                batch_size=context.actors.actor_batch,
                num_gpus_per_actor=context.actors.gpus_per_actor,
                representation=context.representation(),
                on_usage=context.on_usage,
            )
            for batch in batches:
                yield from batch

    @contextmanager
    def connected(self, context: ScoringContext) -> Iterator[None]:
        """Stay connected to Ray, as a job named after the Screen."""
        with ray_session(name=context.step_id):
            yield

    def identity(self, campaign: ScoredCampaign) -> dict[str, Any]:
        """Return the model's checksum."""
        return {"kind": self.kind, "model": campaign.model_checksum}

    def energy_corrections(self, campaign: ScoredCampaign | None) -> str | None:
        """Return the corrections contained in the energies it was trained on."""
        return None if campaign is None else campaign.model_corrections

    def problems_here(self, elements: Sequence[str]) -> Iterator[ScorerProblem]:
        """Check that Ray and Keras are installed."""
        if missing := [name for name in ("ray", "keras") if importlib.util.find_spec(name) is None]:
            yield ScorerProblem(
                ("scorer", "kind"),
                f"found 'esnet', but {' and '.join(missing)} cannot be imported on this machine; install the extra "
                'with: pip install "esnet-campaign[esnet]"',
            )

    def describe(self) -> str:
        """Return a short description."""
        return "ESNet"

    def short_name(self) -> str:
        """Return its name next to other scorers."""
        return "ESNet"
