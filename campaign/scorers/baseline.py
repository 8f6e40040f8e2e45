"""Trained graph models as a scorer: CGCNN-HD, MEGNet, Roost or Wren predicts from the unrelaxed crystal,
without DOS.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, ClassVar, Literal

from pydantic import Field

from campaign.config.paths import FilePath
from campaign.scorers.base import Score, ScoredCampaign, Scorer, ScorerProblem, ScoringContext
from esnet.bundle.files import BundleError, read_manifest
from esnet.files.errors import MissingExtraError
from esnet.files.versions import installed_versions
from esnet.graph.build import best_device
from esnet.graph.bundle import TrainedGraphModel
from esnet.graph.info import GraphBundleInfo
from esnet.graph.packages import require_graph_packages
from esnet.scoring.scoring import Usage

_AT_ONCE = 64
_BUNDLE = ("scorer", "bundle")


class Baseline(Scorer):
    """A graph model trained by `esnet benchmark --save-models`, run in the Screen's own process."""

    kind: Literal["baseline"] = Field(default="baseline", description="baseline")
    bundle: FilePath = Field(
        description="folder of a trained CGCNN-HD, MEGNet, Roost or Wren, as written by `esnet benchmark --save-models`"
    )
    corrections: Literal["none", "mp2020"] | None = Field(
        default=None,
        description="corrections included in the model's energies, if the model does not state them; null: as stated "
        "by the model",
    )
    needs_dos: ClassVar[bool] = False
    needs_model: ClassVar[bool] = False

    def bundles(self) -> tuple[Path, ...]:
        """Return the folder of the model."""
        return (self.bundle,)

    def score(self, ids: Sequence[str], context: ScoringContext) -> Iterator[Score]:
        """Predict from the candidates' unrelaxed crystals."""
        started = time.monotonic()
        trained = TrainedGraphModel.load(context.scorer_bundle(self.bundle))
        crystals = context.structures(ids)
        while part := list(islice(crystals, _AT_ONCE)):
            predictions = trained.predict([crystal for _, crystal in part])
            for (name, _), said in zip(part, predictions, strict=True):
                yield Score(id=name, e_form=said.e_form, uncertainty=said.uncertainty, reason=said.reason)
        if best_device() == "cuda":
            context.on_usage(Usage(cpu_s=0.0, gpu_s=time.monotonic() - started))

    def source(self) -> Mapping[str, Any]:
        """Return the model: its checksum, or its folder if that cannot be read here."""
        info = self._info()
        return {"kind": self.kind, "model": str(self.bundle.resolve()) if info is None else info.checksum}

    def identity(self, campaign: ScoredCampaign) -> dict[str, Any]:
        """Return the model's checksum and the versions of the libraries."""
        stored = campaign.scorer_bundle(self.bundle)
        return {
            "kind": self.kind,
            "network": stored["network"],
            "model": stored["checksum"],
            "versions": installed_versions("torch", "aviary-models", "matgl"),
        }

    def energy_corrections(self, campaign: ScoredCampaign | None) -> str | None:
        """Return the corrections contained in the energies of the training data."""
        if campaign is not None:
            stated = campaign.scorer_bundle(self.bundle).get("corrections")
        else:
            info = self._info()
            stated = None if info is None else info.corrections
        return stated or self.corrections

    def problems(self, elements: Sequence[str]) -> Iterator[ScorerProblem]:
        """Refuse a folder without such a model, and elements absent from its training data."""
        right = "right: a folder that `esnet benchmark --save-models` has written"
        if not self.bundle.is_dir():
            found = "is a file" if self.bundle.exists() else "does not exist"
            yield ScorerProblem(_BUNDLE, f"{self.bundle} {found}; {right}")
            return
        try:
            info = GraphBundleInfo.read(self.bundle)
        except BundleError as error:
            yield ScorerProblem(_BUNDLE, f"{_as_esnet(self.bundle) or error}; {right}")
            return
        if None not in (self.corrections, info.corrections) and self.corrections != info.corrections:
            message = f"found {self.corrections!r}, but {self.bundle} says {info.corrections}; right: that, or null"
            yield ScorerProblem(("scorer", "corrections"), message)
        for symbol in info.unknown_elements(elements):
            yield ScorerProblem(
                ("candidates", "elements", symbol),
                f"found {symbol!r}: no sample that the {info.kind.title} in {self.bundle} (scorer.bundle) was trained "
                "on has it; leave it out, or take a model that has seen it",
            )

    def problems_here(self, elements: Sequence[str]) -> Iterator[ScorerProblem]:
        """Check that the packages needed by the model are installed."""
        info = self._info()
        if info is None:
            return
        try:
            require_graph_packages(info.kind)
        except MissingExtraError as error:
            yield ScorerProblem(_BUNDLE, f"found a {info.kind.title}, but {error}")

    def gives_uncertainty(self) -> bool | None:
        """Whether the model's uncertainties are calibrated; None if its folder is not on this machine."""
        info = self._info()
        return None if info is None else info.calibration is not None

    def gives_novelty(self) -> bool:
        """Return False: graph models do not report novelty; candidates with unknown elements get no prediction."""
        return False

    def describe(self) -> str:
        """Return a short description."""
        return f"the graph model {self.bundle.name}"

    def short_name(self) -> str:
        """Return its name next to other scorers."""
        return self.bundle.name

    def _info(self) -> GraphBundleInfo | None:
        """Return the model's description, or None if its folder is not on this machine."""
        try:
            return GraphBundleInfo.read(self.bundle)
        except BundleError:
            return None


def _as_esnet(folder: Path) -> str | None:
    """Return what an ESNet's bundle, given as a graph model, is for; None for another folder."""
    try:
        read_manifest(folder)
    except BundleError:
        return None
    return f"{folder} is the bundle of an ESNet, which `scorer: {{kind: esnet}}` uses if it is named in model.bundle"
