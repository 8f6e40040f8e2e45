"""ESNet as a scorer: a pool of Ray actors predicts from the IS-DOS."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from campaign.scorers.base import Score, Scorer, ScorerProblem, ScoringContext

if TYPE_CHECKING:
    from campaign.store.campaigns import Campaign


class Esnet(Scorer):
    """The network of the section ``model``, in ``screening.actors`` Ray actors."""

    kind: Literal["esnet"] = Field(default="esnet", description="esnet")
    needs_dos: ClassVar[bool] = True
    needs_model: ClassVar[bool] = True

    def score(self, ids: Sequence[str], context: ScoringContext) -> Iterator[Score]:
        """Fetch the campaign's model and predict from the IS-DOS in the database."""
        from campaign.store.features import FeatureReader
        from campaign.store.models import fetch_bundle
        from esnet.scoring.scoring import score_as_they_come

        spec, model = context.campaign.spec, context.campaign.document["model"]
        bundle = fetch_bundle(context.store, model["checksum"])
        composition = model["representation"]["composition"]
        with self.connected(context):
            batches = score_as_they_come(
                ids,
                bundle_path=bundle,
                read_features=FeatureReader(database=context.database, kind="dos", composition=composition),
                name=context.step_id or spec.name,
                n_actors=spec.screening.actors,
                batch_size=spec.screening.actor_batch,
                num_gpus_per_actor=spec.screening.gpus_per_actor,
                representation=spec.representation(),
                on_usage=context.on_usage,
            )
            for batch in batches:
                for found in batch:
                    yield Score(
                        id=found.id,
                        e_form=found.e_form,
                        reason=found.reason,
                        uncertainty=found.uncertainty,
                        novel=found.novel,
                    )

    @contextmanager
    def connected(self, context: ScoringContext) -> Iterator[None]:
        """Be connected to Ray, as a job of the Screen's name."""
        from esnet.ray.session import ray_session

        with ray_session(name=context.step_id):
            yield

    def identity(self, campaign: Campaign) -> dict[str, Any]:
        """Name the model by its checksum."""
        return {"kind": self.kind, "model": campaign.document["model"]["checksum"]}

    def problems_here(self, elements: Sequence[str]) -> Iterator[ScorerProblem]:
        """Look whether Ray and Keras are installed."""
        if missing := [name for name in ("ray", "keras") if importlib.util.find_spec(name) is None]:
            yield ScorerProblem(
                ("scorer", "kind"),
                f"found 'esnet', but {' and '.join(missing)} cannot be imported on this machine; install the extra "
                'with: pip install "esnet-campaign[esnet]"',
            )

    def describe(self) -> str:
        """Say in a few words what predicts."""
        return "ESNet"
