"""`CampaignSpec`: all settings of a campaign, read from one file that ``lpad add`` also accepts."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

from pydantic import Field, model_validator

from campaign.candidates.elements import BUILT_IN
from campaign.config.plugins import Kinds
from campaign.config.strict_model import StrictModel
from campaign.policies.registry import POLICIES
from campaign.policies.thresholds import Thresholds
from campaign.scorers.base import Scorer
from campaign.scorers.esnet import Esnet
from campaign.scorers.registry import SCORERS
from campaign.spec.sections.budget import BudgetSection
from campaign.spec.sections.candidates import CandidateSection
from campaign.spec.sections.chosen import ChosenPolicy, ChosenScorer
from campaign.spec.sections.dft import DftSection
from campaign.spec.sections.model import ModelSection
from campaign.spec.sections.prefilter import PrefilterSection
from campaign.spec.sections.references import ReferenceSection
from campaign.spec.sections.retries import RetrySection
from campaign.spec.sections.screening import ScreeningSection
from campaign.spec.sections.stable import StableSection
from campaign.spec.sections.types import CampaignName
from esnet.representation.features import Representation
from esnet.training.train import TrainingSettings
from workflows.settings import DftSettings

FIREWORK_HEADER: dict[str, Any] = {
    "_tasks": [{"_fw_name": "{{campaign.firetasks.StartCampaign}}"}],
    "_add_launchpad_and_fw_id": True,
    "_category": "screen",
}
"""Keys of a campaign file's ``spec`` that make it a firework which starts the campaign."""


def chosen_kinds() -> Iterator[tuple[str, Kinds[Any]]]:
    """Yield the sections whose class is chosen by ``kind``, with the available classes."""
    yield "policy", POLICIES
    yield "scorer", SCORERS


def with_chosen_inside() -> Iterator[tuple[str, str, Kinds[Any]]]:
    """Yield the sections with a field whose class is chosen by ``kind``: section, field and available classes."""
    yield "prefilter", "scorer", SCORERS


class CampaignSpec(StrictModel):
    """The settings of a campaign, as a user writes them.

    `model_validate` checks the values alone. `campaign.spec.reader` also checks the folders, structures and PAW data
    sets
    that they refer to, and reports all problems in one `CampaignFileError`.
    """

    name: CampaignName = Field(
        description="the campaign's name: at most 64 letters, digits, - and _, beginning with a letter or digit"
    )
    purpose: Literal["screening", "training_set"] = Field(
        default="screening",
        description="screening, or training_set: every candidate is relaxed and gets an IS-DOS and an RS-DOS, without "
        "predictions",
    )
    candidates: CandidateSection = Field(description="the crystals to screen")
    references: ReferenceSection = Field(default=ReferenceSection(), description="known phases for the convex hull")
    dft: DftSection = Field(default=DftSection(), description="settings of the DFT calculations")
    model: ModelSection = Field(default=ModelSection(), description="the network")
    scorer: ChosenScorer = Field(default=Esnet(), description="the model that predicts formation energies")
    prefilter: PrefilterSection | None = Field(
        default=None, description="a cheap scorer that decides which candidates get an IS-DOS; null: all of them"
    )
    screening: ScreeningSection = Field(default=ScreeningSection(), description="settings of the screening batches")
    policy: ChosenPolicy = Field(
        default=Thresholds(), description="the decision policy, i.e. which candidates are promoted"
    )
    budget: BudgetSection = Field(
        default=BudgetSection(),
        description="limits on the campaign's cost (null = unlimited); candidates stopped by a limit are held and "
        "resume when it is raised",
    )
    stable: StableSection = Field(
        default=StableSection(), description="limits within which a material counts as stable"
    )
    retries: RetrySection = Field(default=RetrySection(), description="retries after machine failures")
    reuse: bool = Field(
        default=True, description="reuse identical calculations of other campaigns in the same database, at no cost"
    )
    seed: int = Field(default=1, ge=0, lt=2**32, description="seed of all random choices, an integer")
    built_in: Literal[1, 2] = Field(
        default=BUILT_IN,
        description="version of the built-in data, i.e. volumes of candidates and crystals of the elements "
        "(docs/reference/prototypes.md); a running campaign keeps the version with which it was started",
    )

    @model_validator(mode="after")
    def _model_and_scorer_fit(self) -> CampaignSpec:
        if self.purpose == "training_set" and self.model.bundle is not None:
            raise ValueError(
                "purpose is training_set, which predicts nothing, but model.bundle names a model; "
                "set model.bundle: null or purpose: screening"
            )
        if self.purpose == "training_set" and self.screening.retrain_every is not None:
            raise ValueError(
                f"purpose is training_set, which has no model, but screening.retrain_every is "
                f"{self.screening.retrain_every}; set screening.retrain_every: null or purpose: screening"
            )
        if self.purpose == "training_set" and self.screening.recalibrate_every is not None:
            raise ValueError(
                f"purpose is training_set, which predicts nothing, but screening.recalibrate_every is "
                f"{self.screening.recalibrate_every}; set screening.recalibrate_every: null or purpose: screening"
            )
        if self.purpose == "training_set" and self.scorer != Esnet():
            raise ValueError(
                f"purpose is training_set, which predicts nothing, but scorer.kind is {self.scorer.kind}; "
                "leave scorer out or set purpose: screening"
            )
        return self

    @model_validator(mode="after")
    def _prefilter_saves_dos(self) -> CampaignSpec:
        if self.prefilter is None:
            return self
        if self.purpose == "training_set":
            raise ValueError(
                "purpose is training_set, in which every candidate gets an IS-DOS, but prefilter would leave some "
                "out; set prefilter: null or purpose: screening"
            )
        if not self.scorer.needs_dos:
            raise ValueError(
                f"scorer.kind is {self.scorer.kind}, which needs no IS-DOS, so prefilter would save nothing; set "
                "prefilter: null or scorer.kind: esnet"
            )
        return self

    @model_validator(mode="after")
    def _corrections_are_of_vasp(self) -> CampaignSpec:
        if self.references.entries is None and self.references.corrections == "mp2020" and self.dft.engine != "vasp":
            raise ValueError(
                f"references.corrections is mp2020, which was fitted to energies of VASP, but dft.engine is "
                f"{self.dft.engine}; set references.corrections: null or dft.engine: vasp"
            )
        return self

    @model_validator(mode="after")
    def _without_model_none_of_its_settings(self) -> CampaignSpec:
        if self.model.corrections is not None and (self.model.bundle is None or not self.scorer.needs_model):
            raise ValueError(
                f"model.corrections is {self.model.corrections}, which describes a bundle, but none is used; set "
                "model.corrections: null, or name the bundle in model.bundle"
            )
        if self.scorer.needs_model:
            return self
        if self.model.bundle is not None:
            raise ValueError(
                f"scorer.kind is {self.scorer.kind}, which needs no trained ESNet, but model.bundle names one; "
                "set model.bundle: null or scorer.kind: esnet"
            )
        if self.screening.retrain_every is not None:
            raise ValueError(
                f"scorer.kind is {self.scorer.kind}, which is not trained here, but screening.retrain_every is "
                f"{self.screening.retrain_every}; set screening.retrain_every: null or scorer.kind: esnet"
            )
        return self

    def to_firework_dict(self) -> dict[str, Any]:
        """Return the campaign file as a dictionary for `Firework.from_dict`, with all defaults and absolute paths."""
        return {
            "name": self.name,
            "spec": {**FIREWORK_HEADER, "campaign": self.model_dump(mode="json", exclude={"name"})},
        }

    @property
    def settings_hash(self) -> str:
        """SHA-256 (hex) of the settings that affect calculated numbers; paths and commands of programs are excluded."""
        return self.dft_settings().hash

    @property
    def trains_model(self) -> bool:
        """Whether it trains an ESNet of its own from the start, for which the references get an RS-DOS too."""
        return self.model.bundle is None and self.scorer.needs_model

    def is_limited(self) -> bool:
        """Whether the budget or the policy limits what is spent."""
        return self.budget.is_limited() or self.policy.relaxation_cpu_hours() is not None

    def dft_settings(self) -> DftSettings:
        """Return the settings for `workflows`."""
        return DftSettings(**self.dft.model_dump())

    def scorers(self) -> tuple[Scorer, ...]:
        """Return everything that predicts: the scorer, and that of the prefilter if there is one."""
        return (self.scorer,) if self.prefilter is None else (self.scorer, self.prefilter.scorer)

    def training_settings(self) -> TrainingSettings:
        """Return the settings for `esnet.training.train`."""
        return TrainingSettings(seed=self.seed, **self.model.training.model_dump())

    def data_source(self) -> dict[str, str]:
        """Return the origin of this campaign's training data, as recorded in bundles and data sets."""
        return {"kind": "campaign", "campaign": self.name, "engine": self.dft.engine, "quality": self.dft.quality}

    def representation(self) -> Representation:
        """Return the representation for `esnet`."""
        return Representation(**self.model.representation.model_dump())
