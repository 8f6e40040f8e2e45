"""Simulate a campaign's decisions on known data without DFT: stable materials found as a function of CPU-hours.

Pure: no database, no files; the same candidates, settings and seed give the same replay. Decisions are made by the code
of a live campaign: `campaign.policies.decide.decide`, the policies, `RemainingBudget`, `CostModel`.

Simplifications compared with a live campaign:

* All IS-DOS are computed first, and paid for. If the CPU-hours do not suffice for that, later candidates have none and
are never decided on.
* Candidates reach their Screens in an order determined by the seed, ``batch_size`` at a time.
* The relaxations of a Screen run one after the other, the promoted ones first, and end before the next Screen. The
  expected cost of each is estimated from those that finished before the Screen, and its true cost is paid; before each,
  the limits are checked with true costs. A live campaign that computes many of them in parallel learns later.
* Held candidates are released at the end: the last Screen decides on them together with its own candidates, and again
  while any budget is left.
* Only attempts known to fail do: such a relaxation has its known cost, and no result.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np

from campaign.policies.allowance import RemainingBudget, Reserved, hours_for_relaxations, stop_reason
from campaign.policies.base import Policy, Prediction
from campaign.policies.cost_model import CostModel, Ended
from campaign.policies.decide import Decision, audit_draw, decide
from campaign.replay.candidate import KnownCandidate
from campaign.replay.result import Replay
from campaign.spec.sections.budget import BudgetSection
from campaign.spec.sections.stable import StableSection

Correction = Callable[[KnownCandidate], KnownCandidate]
Learner = Callable[[Sequence[KnownCandidate]], Correction]
"""Function that derives a correction of predictions from the relaxed candidates and their own predictions."""

Limit = Literal["random", "oracle"]
RANDOM: Limit = "random"
ORACLE: Limit = "oracle"


def replay(
    policy: Policy,
    known: Sequence[KnownCandidate],
    *,
    budget: BudgetSection | None = None,
    stable: StableSection | None = None,
    batch_size: int = 256,
    seed: int = 1,
    label: str | None = None,
    learner: Learner | None = None,
) -> Replay:
    """Run a campaign's decisions on candidates whose relaxations are known.

    Parameters
    ----------
    policy
        Chooses the candidates to relax, including any audit sample.
    known
        Distinct candidates, at least one.
    budget
        Limits and stop rules as in a campaign file (its date is ignored), and the costs expected until calculations
        have finished. If None, no limit.
    stable
        Definition of stable. If None, the defaults of a campaign file.
    batch_size, seed
        Candidates in a Screen; seed of the order of the candidates and of the audit sample.
    label
        Name of the result. If None, the policy's kind.
    learner
        Corrects a Screen's predictions using the earlier relaxations. If None, predictions are not corrected.
    """
    run = _Run(known, budget or BudgetSection(), stable or StableSection(), seed, learner=learner)
    batches = run.compute_dos(batch_size)
    held: list[KnownCandidate] = []
    looked_at = 0
    for batch in batches[:-1]:
        looked_at += len(batch)
        # a best-first policy must not spend everything on the candidates that happened to come first
        held += run.screen(policy, batch, share=looked_at / len(known))
    relaxed_before = -1
    held += batches[-1] if batches else []
    while held and run.relaxations > relaxed_before:
        relaxed_before = run.relaxations
        held = run.screen(policy, held, share=1.0)
    return run.result(label or policy.kind, held=len(held), stopped=run.stop_rule() if held else None)


def replay_limit(
    limit: Limit,
    known: Sequence[KnownCandidate],
    *,
    budget: BudgetSection | None = None,
    stable: StableSection | None = None,
    seed: int = 1,
) -> Replay:
    """Relax without any IS-DOS or prediction.

    ``random`` relaxes in random order, which a policy must beat; ``oracle`` relaxes the truly stable first, cheapest
    first, which no policy can beat (``seed`` only labels the result). Both have the same limits of CPU-hours and
    relaxations as policies, but no stop rules.
    """
    run = _Run(known, budget or BudgetSection(), stable or StableSection(), seed)
    order = run.order
    if limit == ORACLE:
        order = sorted(known, key=lambda found: (not run.stable[found.id], found.relax_cpu_s, found.id))
    run.relax_in_order(order)
    return replace(run.result(limit, held=len(known) - run.relaxations), is_limit=True)


@dataclass
class _Run:
    """State of a replay: what has been spent and found so far."""

    known: Sequence[KnownCandidate]
    budget: BudgetSection
    limits: StableSection
    seed: int
    dos_cpu_s: float = 0.0
    relax_cpu_s: float = 0.0
    audit_cpu_s: float = 0.0
    promoted: int = 0
    audited: int = 0
    rejected: int = 0
    failed_promoted: int = 0
    failed_audited: int = 0
    stable_promoted: int = 0
    stable_audited: int = 0
    since_discovery: int = 0
    without_dos: int = 0
    learner: Learner | None = None
    relaxed: list[KnownCandidate] = field(default_factory=list)
    ended: list[Ended] = field(default_factory=list)
    curve: list[tuple[float, int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        if len({found.id for found in self.known}) != len(self.known) or not self.known:
            raise ValueError(f"{len(self.known)} candidates with {len({c.id for c in self.known})} different ids")
        self.stable = {found.id: found.is_stable(self.limits) for found in self.known}
        by_name = sorted(self.known, key=lambda found: found.id)
        self.order = [by_name[place] for place in np.random.default_rng(self.seed).permutation(len(by_name))]

    @property
    def relaxations(self) -> int:
        return self.promoted + self.audited

    def allowance(self, policy: Policy | None = None, *, share: float = 1.0) -> RemainingBudget:
        """Return the budget left for relaxations, at true cost so far."""
        hours, relaxations = self.budget.cpu_hours, self.budget.relaxations
        whole = RemainingBudget(
            cpu_s=None if hours is None else 3600.0 * hours - self.dos_cpu_s - self.relax_cpu_s,
            relaxations=None if relaxations is None else relaxations - self.relaxations,
            closed=None if policy is None else self.stop_rule(),
        )
        if policy is None:
            return whole
        hours = hours_for_relaxations(self.budget, policy)
        if hours is not None:
            whole = whole.tighter(RemainingBudget(cpu_s=3600.0 * hours - self.relax_cpu_s))
        taken, audited = Reserved(self.relax_cpu_s, self.relaxations), Reserved(self.audit_cpu_s, self.audited)
        # as in a campaign: only a best-first policy paces its spending by the fraction of candidates seen
        whole = whole.paced(share if policy.paces() else 1.0, taken=taken)
        return whole.with_audit(policy.audit, taken=taken, audited=audited)

    def stop_rule(self) -> str | None:
        """Return the stop rule that ends all relaxations, or None."""
        stable = self.stable_promoted + self.stable_audited
        return stop_reason(self.budget, stable=stable, in_vain=self.since_discovery)

    def compute_dos(self, batch_size: int) -> list[list[KnownCandidate]]:
        """Pay for the IS-DOS, and return the batches of candidates that have one."""
        batches: list[list[KnownCandidate]] = []
        ended: list[Ended] = []
        for start in range(0, len(self.order), batch_size):
            batches.append([])
            model = CostModel.fit(ended, default_cpu_s=self.budget.dos_cpu_s)
            for place, found in enumerate(self.order[start : start + batch_size], start=start):
                expected = model.estimate(n_sites=found.n_sites, n_electrons=found.n_electrons)
                if RemainingBudget(cpu_s=self.allowance().cpu_s).refusal(expected) is not None:
                    self.without_dos = len(self.order) - place
                    return [batch for batch in batches if batch]
                self.dos_cpu_s += found.dos_cpu_s
                batches[-1].append(found)
            if self.budget.cpu_hours is not None:  # otherwise the cost of the next ones does not matter
                ended += [_ended(found, found.dos_cpu_s) for found in batches[-1]]
        return batches

    def screen(self, policy: Policy, candidates: Sequence[KnownCandidate], *, share: float) -> list[KnownCandidate]:
        """Decide on candidates, relax the chosen ones within the limits, and return the held ones."""
        model = CostModel.fit(self.ended, default_cpu_s=self.budget.relax_cpu_s)
        correct = _unchanged if self.learner is None else self.learner(self.relaxed)
        predictions = [
            Prediction(
                id=found.id,
                e_form=found.e_form_ml,
                e_hull=found.e_hull_ml,
                uncertainty=found.uncertainty,
                novel=found.novel,
                relax_cpu_s=model.estimate(n_sites=found.n_sites, n_electrons=found.n_electrons),
            )
            for found in map(correct, candidates)
        ]
        decisions = decide(policy, predictions, allowance=self.allowance(policy, share=share), seed=self.seed)
        by_id = {found.id: found for found in candidates}
        relaxed: set[str] = set()
        for group in _in_order(decisions, self.seed):
            for decision in group:
                if self.allowance(policy, share=share).refusal(decision.relax_cpu_s) is not None:
                    break
                self._relax(by_id[decision.candidate], audit=decision.audit)
                relaxed.add(decision.candidate)
        left = [decision for decision in decisions if decision.candidate not in relaxed]
        self.rejected += sum(decision.outcome == "rejected" for decision in left)
        return [by_id[decision.candidate] for decision in left if decision.outcome != "rejected"]

    def relax_in_order(self, order: Sequence[KnownCandidate]) -> None:
        """Relax in order until the budget is spent."""
        for found in order:
            # a job may start with the last CPU-second, so that no policy gains from its estimates
            if self.allowance().refusal(0.0) is not None:
                return
            self._relax(found, audit=False)

    def _relax(self, found: KnownCandidate, *, audit: bool) -> None:
        if not self.curve:
            self.curve.append((self.dos_cpu_s, 0))
        self.relax_cpu_s += found.relax_cpu_s
        self.ended.append(_ended(found, found.relax_cpu_s))
        stable, failed = self.stable[found.id], found.relaxation_failed
        if not failed:
            self.relaxed.append(found)
            self.since_discovery = 0 if stable else self.since_discovery + 1
        if audit:
            self.audited += 1
            self.audit_cpu_s += found.relax_cpu_s
            self.stable_audited += stable
            self.failed_audited += failed
        else:
            self.promoted += 1
            self.stable_promoted += stable
            self.failed_promoted += failed
        self.curve.append((self.dos_cpu_s + self.relax_cpu_s, self.stable_promoted + self.stable_audited))

    def result(self, label: str, *, held: int, stopped: str | None = None) -> Replay:
        curve = self.curve or [(self.dos_cpu_s, 0)]
        return Replay(
            label=label,
            seed=self.seed,
            cpu_hours=np.array([cpu_s for cpu_s, _ in curve]) / 3600.0,
            stable=np.array([count for _, count in curve]),
            dos_cpu_hours=self.dos_cpu_s / 3600.0,
            relax_all_cpu_hours=math.fsum(found.relax_cpu_s for found in self.known) / 3600.0,
            n_candidates=len(self.known),
            n_stable=sum(self.stable.values()),
            promoted=self.promoted,
            audited=self.audited,
            rejected=self.rejected,
            held=held,
            without_dos=self.without_dos,
            failed_promoted=self.failed_promoted,
            failed_audited=self.failed_audited,
            stable_promoted=self.stable_promoted,
            stable_audited=self.stable_audited,
            stopped=stopped,
        )


def _unchanged(found: KnownCandidate) -> KnownCandidate:
    return found


def _ended(found: KnownCandidate, cpu_s: float) -> Ended:
    return Ended(n_sites=found.n_sites, n_electrons=found.n_electrons, cpu_s=cpu_s)


def _in_order(decisions: Sequence[Decision], seed: int) -> tuple[list[Decision], list[Decision]]:
    """Return the promoted decisions by rank, and the audit sample in the order of its draw."""
    promoted = [decision for decision in decisions if decision.promoted]
    audited = [decision for decision in decisions if decision.audit]
    return (
        sorted(promoted, key=lambda decision: decision.rank or 0),
        sorted(audited, key=lambda decision: audit_draw(decision.candidate, seed)),
    )
