"""ESNet as a scorer: a pool of Ray actors predicts from the IS-DOS."""

import importlib.util
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, ClassVar, Literal

from pydantic import Field

from campaign.scorers.base import REFERENCES, Score, ScoredCampaign, Scorer, ScorerProblem, ScoringContext
from esnet.bundle.info import BundleInfo
from esnet.bundle.record import SINGLE_POINT
from esnet.dataset.corrections import stated_corrections
from esnet.ray.session import ray_session
from esnet.scoring.scoring import stream_predictions


def corrections_of_model(data_source: Mapping[str, Any]) -> str | None:
    """Return the corrections contained in a model's predictions, from the record of its training data.

    `REFERENCES` if it predicts the change by the relaxation: the energies that this is added to are the campaign's own.
    """
    of = data_source.get("residual_of") or {}
    return REFERENCES if of.get("potential") == SINGLE_POINT else stated_corrections(data_source)


class Esnet(Scorer):
    """The network of the section ``model``, in ``screening.actors`` Ray actors.

    A model that was trained on what the energies of the IS-DOS calculations leave over (``esnet train --residual-of
    single_point``) predicts the change by the relaxation; E_f of the unrelaxed crystal is added.
    """

    kind: Literal["esnet"] = Field(default="esnet", description="esnet")
    needs_dos: ClassVar[bool] = True
    needs_model: ClassVar[bool] = True

    def score(self, ids: Sequence[str], context: ScoringContext) -> Iterator[Score]:
        """Fetch the campaign's model and predict from the stored IS-DOS."""
        info = BundleInfo.read(context.bundle(), residual=SINGLE_POINT)
        with self.connected(context):
            batches = stream_predictions(
                ids,
                bundle_path=info.path,
                read_features=context.feature_reader(),
                name=context.step_id or context.campaign.name,
                n_actors=context.actors.actors,
                batch_size=context.actors.actor_batch,
                num_gpus_per_actor=context.actors.gpus_per_actor,
                representation=context.representation(),
                on_usage=context.on_usage,
                residual=SINGLE_POINT,
            )
            for batch in batches:
                if info.record.adds_single_point:
                    yield from add_single_points(batch, context.single_points([change.id for change in batch]))
                else:
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


def add_single_points(changes: Sequence[Score], single_points: Iterable[Score]) -> Iterator[Score]:
    """Add predicted changes by the relaxation to the formation energies of the unrelaxed crystals."""
    unrelaxed = {found.id: found for found in single_points}
    for change in changes:
        start = unrelaxed[change.id]
        if change.e_form is None or start.e_form is None:
            yield Score(id=change.id, e_form=None, reason=change.reason or start.reason)
        else:
            yield replace(change, e_form=start.e_form + change.e_form)
