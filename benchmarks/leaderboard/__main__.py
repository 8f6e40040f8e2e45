"""Every model of the paper's Table 1, potentials and IS-DOS energies on the open set: numbers, one page, its figures.

    python -m benchmarks.leaderboard [--dataset FOLDER] [--seeds 5] [--models all] [--potentials ...] [--out docs]

Trained are, for each seed, all models on RS-DOS and on IS-DOS, on a random split and on one by chemical system; ESNet
with its inputs taken away; some models on the residuals of CHGNet and of the IS-DOS calculation's own energy, on fewer
compounds, and with each element left out.
Each result is written as it comes, in a file named after a checksum of all that it is made of: the same command
continues after a kill and loses one training at most, and another data set or another setting trains anew.
"""

import argparse
import json
import logging
import os
import sys
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks.leaderboard.figures import write_figures
from benchmarks.leaderboard.page import page
from benchmarks.leaderboard.potentials import DEFAULT, names_of, relaxed_energies
from benchmarks.leaderboard.splits import FILE, SEEDS, read_splits
from benchmarks.leaderboard.summary import Summary
from benchmarks.leaderboard.trainings import RESIDUAL_BASES, Results, Training, model_names, train_one, trainings
from esnet.baselines.models import require_packages
from esnet.dataset.dataset import Dataset
from esnet.files.atomic import write_whole
from esnet.files.errors import UserError

ROOT = Path(__file__).resolve().parents[2]
WIDTHS = (8, 16, 32, 64)
"""A hundred crystals determine no ten million parameters: as the shipped model."""


def options(words: list[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--dataset", type=Path, default=ROOT / "benchmarks" / "data" / "open_set")
    parser.add_argument(
        "--out", type=Path, default=ROOT / "docs" / "explanation", help="folder of leaderboard.md, .json and images/"
    )
    parser.add_argument("--work", type=Path, default=ROOT / "runs" / "leaderboard", help="folder of the results so far")
    parser.add_argument("--models", default="all", help="names with commas; all")
    parser.add_argument("--potentials", default=",".join(DEFAULT), help="names with commas; none")
    parser.add_argument("--seeds", type=int, default=5, choices=SEEDS)
    parser.add_argument("--epochs", type=int, help="of the networks, at most; default: each model's own")
    parser.add_argument("--widths", type=_widths, default=WIDTHS, help="of ESNet and CNN; default: %(default)s")
    parser.add_argument("--threads", type=int, help="of trees and graph models; default: the cores of this process")
    parser.add_argument(
        "--minutes", type=float, help="train no further model after this; the page says what is missing"
    )
    parser.add_argument("--quick", action="store_true", help="small networks, parameters not chosen")
    return parser.parse_args(words)


def _widths(text: str) -> tuple[int, ...]:
    return tuple(map(int, text.split(",")))


def main(words: list[str] | None = None) -> None:
    """Run the missing trainings, then write numbers, page and figures."""
    asked = options(words)
    try:
        run(asked)
    except UserError as error:
        raise SystemExit(str(error)) from error


def run(asked: argparse.Namespace) -> None:
    """Do what the command line asks for."""
    dataset = Dataset.open(asked.dataset)
    splits = read_splits(dataset, asked.dataset / FILE)
    models, potentials = model_names(asked.models), names_of(asked.potentials)
    for name in models:
        require_packages(name)
    started = time.monotonic()
    said = {name: relaxed_energies(dataset, name, asked.work / "potentials", tell=tell) for name in potentials}
    settings = {"quick": asked.quick, "epochs": asked.epochs, "widths": asked.widths}
    results = Results(asked.work / "results", {"dataset": dataset.checksum, **settings})
    bases = [name for name in RESIDUAL_BASES if name in said]
    # an element has no residual, and neither has a crystal without an energy
    elements = {name: 0.0 for name, system in zip(dataset.materials, dataset.chemsys, strict=True) if "-" not in system}
    wanted = list(trainings(dataset, models, splits, asked.seeds, bases=bases))
    missing = [training for training in wanted if results.read(training) is None]
    tell(f"{len(dataset)} samples; {len(wanted) - len(missing)} of {len(wanted)} trainings are there")
    left = len(missing)
    for training in missing:
        if asked.minutes is not None and time.monotonic() - started > 60 * asked.minutes:
            break
        tell(f"{left} to train: {describe(training)}")
        base = {name: row["e_form"] for name, row in said.get(training.residual_of or "", {}).items()}
        found = train_one(
            dataset,
            splits[training.split],
            training,
            base={**dict.fromkeys(dataset.materials), **base, **elements},
            settings=settings | {"threads": asked.threads},
            tell=lambda _: None,
        )
        results.keep(training, found)
        left -= 1
    summary = Summary(dataset, splits, results, models=models, seeds=asked.seeds, potentials=said)
    write(summary.to_dict() | {"missing": left, "trainings": len(wanted)}, asked.out)


def write(numbers: dict[str, Any], out: Path) -> None:
    """Write numbers, page and figures, and print the page."""
    out.mkdir(parents=True, exist_ok=True)
    write_whole(out / "leaderboard.json", json.dumps(numbers, indent=1, allow_nan=False) + "\n")
    write_figures(numbers, out / "images")
    text = page(numbers)
    write_whole(out / "leaderboard.md", text)
    print(text)
    tell(f"wrote leaderboard.md, leaderboard.json and images/leaderboard-*.png in {out}")


def describe(training: Training) -> str:
    """Return a short description of a training."""
    extra = [f"sees {training.inputs}"] if training.inputs != "both" else []
    extra += [f"residual of {training.residual_of}"] if training.residual_of else []
    extra += [f"{training.n_train} compounds"] if training.n_train else []
    return ", ".join([training.model, f"on {training.kinds}", training.split, *extra])


def tell(text: str) -> None:
    """Say where it stands."""
    print(f"[leaderboard] {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    logging.disable(logging.WARNING)
    main()
