"""Candidates of a campaign as columns, read in one pass: the input of the figures."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from campaign.budget.decision_document import policy_decision
from campaign.store.campaigns import Campaign
from campaign.store.collections import Document
from campaign.store.listings import all_candidates
from campaign.store.states import SCREENED, CandidateState
from campaign.views.policy_dry_run import word_of

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

_FIELDS = [
    *("formula", "prototype", "chemsys", "role", "state", "prediction.e_form_per_atom", "prediction.e_above_hull"),
    *("prediction.uncertainty", "prediction.reason", "prediction.step", "decision.outcome", "decision.promoted"),
    *("decision.audit", "decision.reason", "decision.time", "decision.step", "decision.kind"),
    *(f"previous_decisions.{field}" for field in ("kind", "outcome", "promoted", "audit")),
    "result.e_form_per_atom",
    *("result.e_above_hull", "result.stable", "rs_dos.state", "is_dos.features", "final_failure", "correction_error"),
    *("prefilter.outcome", "prefilter.audit"),
]


@dataclass(frozen=True, kw_only=True)
class CandidateColumns:
    """All candidates of a campaign as stored, ordered by id; every column has one value per candidate."""

    documents: Sequence[Document]

    def __len__(self) -> int:
        """Return the number of candidates."""
        return len(self.documents)

    @cached_property
    def ids(self) -> list[str]:
        """Ids."""
        return [document["_id"] for document in self.documents]

    @cached_property
    def labels(self) -> list[str]:
        """Formula and prototype of each candidate."""
        return [f"{document['formula']} {document['prototype']}" for document in self.documents]

    @cached_property
    def screened(self) -> Flags:
        """Whether each candidate is screened, not relaxed to train a model."""
        return np.array([document["role"] == SCREENED for document in self.documents], dtype=bool)

    @cached_property
    def prefiltered(self) -> Flags:
        """Whether the prefilter has rejected each candidate, so that it has no IS-DOS; audited ones have one."""
        said = [document.get("prefilter") or {} for document in self.documents]
        flags = [each.get("outcome") == CandidateState.REJECTED and not each.get("audit") for each in said]
        return np.array(flags, dtype=bool)

    @cached_property
    def decisions(self) -> list[str]:
        """Decision on each candidate in one word; ``waiting`` if there is none."""
        return [word_of(document.get("decision")) for document in self.documents]

    @cached_property
    def _by_policy(self) -> list[str]:
        """Decision of the policy on each candidate in one word, regardless of a user's later decision."""
        return [word_of(cast("dict[str, Any] | None", policy_decision(document))) for document in self.documents]

    @cached_property
    def promoted(self) -> Flags:
        """Whether the policy promoted each candidate; audited ones and those promoted by a user are not."""
        return np.array([word == "promoted" for word in self._by_policy], dtype=bool)

    @cached_property
    def decided(self) -> Flags:
        """Whether the policy decided on each candidate."""
        decided: Flags = self.screened & np.array([word != "waiting" for word in self._by_policy], dtype=bool)
        return decided

    @cached_property
    def e_form_ml(self) -> Floats:
        """Predicted formation energies, eV/atom; NaN if missing."""
        return self._column("prediction", "e_form_per_atom")

    @cached_property
    def e_hull_ml(self) -> Floats:
        """Predicted distances to the hull, eV/atom; NaN if missing."""
        return self._column("prediction", "e_above_hull")

    @cached_property
    def uncertainty(self) -> Floats:
        """Standard deviations of the predicted formation energies, eV/atom; NaN if the model gives none."""
        return self._column("prediction", "uncertainty")

    @cached_property
    def e_form_dft(self) -> Floats:
        """Formation energies of the relaxed crystals, eV/atom; NaN if missing."""
        return self._column("result", "e_form_per_atom")

    @cached_property
    def e_hull_dft(self) -> Floats:
        """Distances of the relaxed crystals to the hull, eV/atom; NaN if missing."""
        return self._column("result", "e_above_hull")

    @cached_property
    def has_result(self) -> Flags:
        """Whether the stability of each candidate is known."""
        return np.array([_stable(document) is not None for document in self.documents], dtype=bool)

    @cached_property
    def stable(self) -> Flags:
        """Whether it is known to be stable."""
        return np.array([bool(_stable(document)) for document in self.documents], dtype=bool)

    @cached_property
    def predicted(self) -> Flags:
        """Whether it has a prediction."""
        known: Flags = np.isfinite(self.e_form_ml) & np.isfinite(self.e_hull_ml)
        return known

    def _column(self, part: str, key: str) -> Floats:
        found = [(document.get(part) or {}).get(key) for document in self.documents]
        return np.array([math.nan if value is None else value for value in found], dtype=np.float64)


def with_margin(values: Floats) -> list[float]:
    """Range of an axis: that of the values with 5 % more at both ends."""
    low, high = float(values.min()), float(values.max())
    margin = 0.05 * ((high - low) or 1.0)
    return [low - margin, high + margin]


def _stable(document: Document) -> Any:
    return (document.get("result") or {}).get("stable")


def read_candidates(campaign: Campaign) -> CandidateColumns:
    """Read the candidates of a campaign, without structures and histories."""
    return CandidateColumns(documents=all_candidates(campaign, _FIELDS, ordered=True))
