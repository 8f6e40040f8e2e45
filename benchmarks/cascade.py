"""Compare the CPU-hours in which scorers, and cascades of two, find stable materials.

All costs are counted: IS-DOS, potentials, relaxations. The candidates are those of data/cascade.csv (computed by
cascade_data.py), and decisions are made by `campaign.replay` with the policies of a campaign. Each seed draws four
fifths of the candidates and their order, so the intervals (smallest to largest over the seeds) show the effect of the
choice of candidates. There are two sets of costs: as measured here (GPAW, two atoms per cell), and those of the paper,
where an IS-DOS takes 108.506 and a relaxation 3107 CPU-s on average, scaled for each crystal by its cost here.

    python benchmarks/cascade.py [--seeds 20] [--table FILE] [--markdown] [--without-recalibration]

Recalibrated predictions take minutes, everything else seconds. Exits with 1 if a strategy beats the oracle.
"""

import argparse
import math
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from operator import attrgetter
from pathlib import Path

import numpy as np

from campaign.policies.base import Policy
from campaign.policies.cost_model import PUBLISHED_DOS_CPU_S, PUBLISHED_RELAX_CPU_S
from campaign.policies.expected_yield import ExpectedYield
from campaign.policies.probability import Probability
from campaign.policies.thresholds import Thresholds
from campaign.recalibration.fit import Fit, Sample
from campaign.recalibration.trial import fit_correction
from campaign.replay.candidate import KnownCandidate
from campaign.replay.cascade import cascade
from campaign.replay.data import ReplayData, prediction_error
from campaign.replay.read import read_replay_data
from campaign.replay.result import Replay, Spread, spread
from campaign.replay.simulate import ORACLE, RANDOM, Correction, Learner, replay, replay_limit
from campaign.spec.sections.budget import BudgetSection

TABLE = Path(__file__).parent / "data" / "cascade.csv"
SHARE, BATCH = 0.8, 8
POTENTIALS = ("CHGNet", "SevenNet-0", "SevenNet-l3i5")
#: Energies of the IS-DOS calculations, without and with the relaxation energy of a potential
#: (`campaign.scorers.single_point`).
SINGLE_POINTS = ("single point", "single point, CHGNet")
#: The potential of the cascades to ESNet.
FIRST = "SevenNet-l3i5"
#: A cascade with one potential, which is the prefilter and provides the relaxation energies.
TO_SINGLE_POINT = "cascade to single point, CHGNet"
#: Targets: the best strategy relative to the oracle, and a cascade relative to ESNet alone.
BEST, LEAST_FOUND, MOST_HOURS = 1.10, 0.95, 0.5

Known = Sequence[KnownCandidate]


def recalibration(relaxed: Known) -> Correction:
    """Return a correction from the relaxations so far, as `screening.recalibrate_every` applies after each Screen."""
    samples = [
        Sample(
            id=each.id,
            fractions=fractions(each),
            predicted=each.e_form_ml,
            calculated=each.e_form,
            uncertainty=each.uncertainty,
        )
        for each in sorted(relaxed, key=attrgetter("id"))
        if np.isfinite(each.e_form_ml)
    ]
    # cached: which candidates are relaxed depends little on the costs, and a fit takes tens of ms
    key = tuple((sample.id, sample.predicted, sample.uncertainty) for sample in samples)
    if key not in _FITS:
        _FITS[key] = fit_correction(samples)
    fit = _FITS[key]

    def correct(found: KnownCandidate) -> KnownCandidate:
        if not np.isfinite(found.e_form_ml):
            return found
        energy, uncertainty = fit.correct(fractions(found), found.e_form_ml, found.uncertainty)
        shift = energy - found.e_form_ml
        return replace(found, e_form_ml=energy, e_hull_ml=found.e_hull_ml + shift, uncertainty=uncertainty)

    return correct


_FITS: dict[tuple[tuple[str, float, float | None], ...], Fit] = {}


def fractions(found: KnownCandidate) -> dict[str, float]:
    """Return atomic fractions by element."""
    total = sum(found.composition.values())
    return {symbol: number / total for symbol, number in found.composition.items()}


@dataclass(frozen=True, kw_only=True)
class Strategy:
    """Scorer and policy of a strategy, and whether its predictions are recalibrated with results of the campaign."""

    scorer: str
    policy: Callable[[Known], Policy]
    learner: Learner | None = None


def paper(known: Known) -> Policy:
    """Return a policy with the thresholds that were best for ESNet in the paper."""
    return Thresholds()


def probability(known: Known) -> Policy:
    """Return the policy with its default settings."""
    return Probability()


def expected_yield(known: Known) -> Policy:
    """Return a policy that equals `probability` at equal costs: half a stable material per mean relaxation cost."""
    return ExpectedYield(min_yield=0.5 * 3600.0 / mean(known, "relax_cpu_s"), explore=0.1)


STRATEGIES = {
    "ESNet, paper's thresholds": Strategy(scorer="ESNet", policy=paper),
    **{
        f"{scorer}, {policy.__name__}{', recalibrated' if learner else ''}": Strategy(
            scorer=scorer, policy=policy, learner=learner
        )
        for scorer in ("ESNet", *POTENTIALS, *SINGLE_POINTS, "cascade", "cascade combined", TO_SINGLE_POINT)
        for policy, learner in ((probability, None), (probability, recalibration), (expected_yield, recalibration))
        # the others are decided by ESNet, or are worse potentials of the same kind
        if policy is probability or scorer in ("ESNet", "CHGNet", FIRST)
    },
}


def mean(known: Known, cost: str) -> float:
    """Return the mean of one of the costs, CPU-s."""
    return sum(map(attrgetter(cost), known)) / len(known)


def bias(known: Known) -> float:
    """Return the mean of predicted minus true formation energies over the materials with both, eV/atom."""
    errors = [each.e_form_ml - each.e_form for each in known if not each.relaxation_failed]
    return float(np.nanmean(errors))


def priced(data: ReplayData, *, dos_cpu_s: float, relax_cpu_s: float) -> ReplayData:
    """Return the data scaled to other mean costs of IS-DOS and relaxation; the cost of potentials is unchanged."""
    is_dos = [each.dos_cpu_s for each in data.scorers["ESNet"]]
    dos = dos_cpu_s * len(is_dos) / sum(is_dos)
    relax = relax_cpu_s / mean(data.candidates, "relax_cpu_s")
    return replace(
        data,
        scorers={
            scorer: tuple(
                replace(
                    each,
                    relax_cpu_s=relax * each.relax_cpu_s,
                    dos_cpu_s=each.dos_cpu_s + ((dos - 1.0) * own if scorer in ("ESNet", *SINGLE_POINTS) else 0.0),
                )
                for each, own in zip(known, is_dos, strict=True)
            )
            for scorer, known in data.scorers.items()
        },
    )


def run(data: ReplayData, seeds: Sequence[int], strategies: Mapping[str, Strategy]) -> dict[str, list[Replay]]:
    """Replay the strategies and both limits (oracle and random); each seed draws its own candidates."""
    first, esnet = data.scorers[FIRST], data.scorers["ESNet"]
    scorers = {
        **data.scorers,
        "cascade": cascade(first, esnet),
        "cascade combined": cascade(first, esnet, combine=True),
        TO_SINGLE_POINT: cascade(data.scorers["CHGNet"], data.scorers[SINGLE_POINTS[1]]),
    }
    found: dict[str, list[Replay]] = {}
    budget = BudgetSection(relax_cpu_s=mean(scorers["ESNet"], "relax_cpu_s"))
    for seed in seeds:
        size = len(data.candidates)
        drawn = sorted(np.random.default_rng(seed).choice(size, max(1, round(SHARE * size)), replace=False))
        parts = {scorer: [known[place] for place in drawn] for scorer, known in scorers.items()}
        for name, each in strategies.items():
            policy, known = each.policy(scorers[each.scorer]).reseeded(seed), parts[each.scorer]
            found.setdefault(name, []).append(
                replay(policy, known, budget=budget, batch_size=BATCH, seed=seed, label=name, learner=each.learner)
            )
        for limit in (RANDOM, ORACLE):
            found.setdefault(limit, []).append(replay_limit(limit, parts["ESNet"], seed=seed))
    return found


def over_oracle(found: Mapping[str, Sequence[Replay]], name: str) -> Spread | None:
    """Return C_eff relative to that of the oracle for as many stable materials; None if a seed found none."""
    ratios = {}
    for each, oracle in zip(found[name], found[ORACLE], strict=True):
        least = oracle.cpu_hours_to(each.total_stable) if each.total_stable else None
        ratios[each.seed] = each.counted_cpu_hours / least if least else None
    return spread(found[name], lambda each: ratios[each.seed])


def lines(found: Mapping[str, Sequence[Replay]]) -> list[list[str]]:
    """Return the rows of the table, with its header first."""
    table = [["strategy", "stable found", "CPU-h", "recall", "C_eff, CPU-s", "C_eff / oracle's"]]
    for name, replays in found.items():
        figures = [(spread(replays, attrgetter(figure)), form) for figure, form in FIGURES.items()]
        table.append([name, *(text(*figure) for figure in [*figures, (over_oracle(found, name), ".2f")])])
    return table


FIGURES = {"total_stable": ".1f", "counted_cpu_hours": ".3g", "recall": ".2f", "c_eff_cpu_s": ".0f"}


def text(value: Spread | None, form: str) -> str:
    """Format mean and range, or a dash if a seed found no stable material."""
    if value is None:
        return "-"
    middle, least, most = (format(number, form) for number in value)
    return middle if least == most else f"{middle} ({least} to {most})"


def aims(found: Mapping[str, Sequence[Replay]]) -> list[str]:
    """Return the targets, and whether they were reached."""
    strategies = [name for name in found if name in STRATEGIES]
    ratios = {name: over_oracle(found, name) for name in strategies}
    enough = {name: each for name, each in ratios.items() if each is not None and recall(found[name]) >= LEAST_RECALL}
    if enough:
        best = min(enough, key=lambda name: enough[name].mean)
        said = [
            f"best with a recall of at least {LEAST_RECALL:g}: {best}: {enough[best].mean:.2f} times the oracle's "
            f"C_eff (aim: at most {BEST:.2f}): {met(enough[best].mean <= BEST)}"
        ]
    else:
        said = [f"no strategy has a recall of at least {LEAST_RECALL:g}: aim not met"]
    for name in (name for name in strategies if name.startswith("cascade")):
        alone = name.replace(TO_SINGLE_POINT, "ESNet").replace("cascade combined", "ESNet").replace("cascade", "ESNet")
        stable, hours = (
            total(found[name], figure) / max(total(found[alone], figure), 1e-9)
            for figure in ("total_stable", "counted_cpu_hours")
        )
        reached = stable >= LEAST_FOUND and hours <= MOST_HOURS
        said.append(
            f"{name}: {stable:.0%} of what {alone} finds for {hours:.0%} of its CPU-hours (aim: at least "
            f"{LEAST_FOUND:.0%} for at most {MOST_HOURS:.0%}): {met(reached)}; stopped after {LEAST_FOUND:.0%} of it: "
            f"{stopped(found[name], found[alone])} of the CPU-hours"
        )
    return said


def stopped(found: Sequence[Replay], alone: Sequence[Replay]) -> str:
    """Share of the CPU-hours of other replays for most of the stable materials that they find; a dash if too few."""
    hours = [
        each.cpu_hours_to(math.ceil(LEAST_FOUND * other.total_stable)) for each, other in zip(found, alone, strict=True)
    ]
    if None in hours:
        return "-"
    return f"{sum(filter(None, hours)) / total(alone, 'counted_cpu_hours'):.0%}"


LEAST_RECALL = 0.8


def recall(replays: Sequence[Replay]) -> float:
    """Return the mean recall."""
    found = spread(replays, attrgetter("recall"))
    return 0.0 if found is None else found.mean


def total(replays: Sequence[Replay], figure: str) -> float:
    """Return the sum of a quantity over the seeds."""
    return sum(float(getattr(each, figure)) for each in replays)


def met(reached: bool) -> str:
    """Return whether a target was reached, as text."""
    return "met" if reached else "not met"


def show(table: Sequence[Sequence[str]], *, markdown: bool) -> None:
    """Print a table."""
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    for place, row in enumerate(table):
        cells = [cell if markdown else cell.ljust(width) for cell, width in zip(row, widths, strict=True)]
        print(f"| {' | '.join(cells)} |" if markdown else "  ".join(cells).rstrip())
        if markdown and not place:
            print("|" + " --- |" * len(row))


def main() -> int:
    """Print tables and targets for both sets of costs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--table", type=Path, default=TABLE, help=f"with the scorers ESNet, {', '.join(POTENTIALS)}")
    parser.add_argument("--markdown", action="store_true")
    parser.add_argument("--without-recalibration", action="store_true", help="leave those strategies out")
    options = parser.parse_args()
    data = read_replay_data(options.table)
    print(f"{len(data.candidates)} candidates; each of {options.seeds} seeds draws {SHARE:.0%} of them")
    for scorer, known in data.scorers.items():
        error = prediction_error(known)
        print(
            f"{scorer}: MAE {error.mae:.3f} eV/atom on {error.n}, mean error {bias(known):+.3f}; "
            f"{mean(known, 'dos_cpu_s'):.1f} CPU-s a prediction"
        )
    prices = {
        "as measured": data,
        "the paper's": priced(data, dos_cpu_s=PUBLISHED_DOS_CPU_S, relax_cpu_s=PUBLISHED_RELAX_CPU_S),
    }
    without = options.without_recalibration
    strategies = {name: each for name, each in STRATEGIES.items() if each.learner is None or not without}
    beaten = False
    for price, each in prices.items():
        dos, relax = mean(each.scorers["ESNet"], "dos_cpu_s"), mean(each.scorers["ESNet"], "relax_cpu_s")
        print(f"\nprices {price}: {dos:.1f} CPU-s an IS-DOS, {relax:.1f} a relaxation\n")
        found = run(each, range(1, options.seeds + 1), strategies)
        show(lines(found), markdown=options.markdown)
        print("", *aims(found), sep="\n")
        ratios = [over_oracle(found, name) for name in strategies]
        beaten |= any(ratio is not None and ratio.least < 1.0 - 1e-9 for ratio in ratios)
    return int(beaten)


if __name__ == "__main__":
    sys.exit(main())
