"""Extend the open data set with the relaxed candidates of campaigns, and regenerate its splits and datasheet.

    python -m benchmarks.open_set [-l my_launchpad.yaml] [--campaign NAME ...] [--out FOLDER] [--docs docs]
    python -m benchmarks.open_set --densities FOLDER      adds the results of `benchmarks.open_set.densities`

Samples already in the set are kept, so the database of a finished campaign can be deleted (``--anew`` starts from an
empty set). Campaigns are only read. Without ``--campaign``, all campaigns are used whose names begin with ``training-``
and whose references are computed, in the order of their names.
"""

import argparse
import os
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks.leaderboard.splits import FILE, write_splits
from benchmarks.open_set.datasheet import datasheet, loading, write_coverage
from benchmarks.open_set.densities import write_densities
from benchmarks.open_set.packing import pack, prediction_change
from campaign.commands.connection import connect
from campaign.store.campaigns import Campaign, campaign_names
from campaign.store.collections import CampaignStore
from campaign.store.listings import newest_failed
from campaign.views.training_data import write_training_data
from esnet.dataset.dataset import Dataset
from esnet.files.atomic import write_whole
from esnet.files.errors import UserError

ROOT = Path(__file__).resolve().parents[2]
LARGEST_MB = 40
LARGEST_CHANGE_MEV = 1.0


def main(words: list[str] | None = None) -> None:
    """Write data set, splits and datasheet."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("-l", "--launchpad", type=Path, help="my_launchpad.yaml; default: the one that lpad would take")
    parser.add_argument("--campaign", action="append", help="may be given more than once; default: all of training-*")
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "data" / "open_set")
    parser.add_argument(
        "--docs", type=Path, default=ROOT / "docs" / "reference", help="folder of dataset.md and images/"
    )
    parser.add_argument(
        "--densities", type=Path, help="folder of benchmarks.open_set.densities; campaigns only with -l"
    )
    parser.add_argument("--anew", action="store_true", help="leave out what the data set holds already")
    asked = parser.parse_args(words)
    try:
        only_densities = asked.densities and not (asked.launchpad or asked.campaign)
        campaigns = [] if only_densities else _campaigns(asked.launchpad, asked.campaign)
        make(campaigns, asked.out, asked.docs, densities=asked.densities, anew=asked.anew)
    except UserError as error:
        raise SystemExit(str(error)) from error


def _campaigns(launchpad: Path | None, names: Sequence[str] | None) -> list[Campaign]:
    store = CampaignStore(connect(launchpad).db)
    if not names:
        named = (name for name in sorted(campaign_names(store)) if name.startswith("training-"))
        names = [name for name in named if Campaign.read(store, name).document.get("reference_set")]
    if not names:
        raise SystemExit("no campaign with computed references has a name that begins with training-; use --campaign")
    return [Campaign.read(store, name) for name in names]


def make(
    campaigns: Sequence[Campaign], out: Path, docs: Path, *, densities: Path | None = None, anew: bool = False
) -> Dataset:
    """Write everything; the previous data set is replaced once the new one is complete and small enough."""
    with tempfile.TemporaryDirectory(prefix="open-set-") as folder:
        parts = [] if anew or not out.exists() else [Dataset.open(out)]
        if densities is not None:
            write_densities(densities, Path(folder, "densities"))
            parts.append(Dataset.open(Path(folder, "densities")))
        for number, campaign in enumerate(campaigns):
            write_training_data(campaign, Path(folder, str(number)))
            parts.append(Dataset.open(Path(folder, str(number))))
        failures = {campaign.name: failed_for_good(campaign) for campaign in campaigns}
        packed = pack(parts, Path(folder, "packed"), failures=failures)
        write_splits(packed, Path(folder, "packed", FILE))
        change = prediction_change(parts, packed)
        size = sum(entry["bytes"] for entry in packed.manifest.files.values()) / 1e6
        if change >= LARGEST_CHANGE_MEV or size > LARGEST_MB:
            raise SystemExit(
                f"the packed set has {size:.1f} MB (at most {LARGEST_MB}) and changes predictions by {change:.3f} "
                f"meV/atom (less than {LARGEST_CHANGE_MEV}): nothing was written"
            )
        shutil.rmtree(out, ignore_errors=True)
        out.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(Path(folder, "packed"), out)
    dataset = Dataset.open(out)
    measured = {"change_mev": change, "load": loading(out)}
    (docs / "images").mkdir(parents=True, exist_ok=True)
    write_coverage(dataset, docs / "images" / "dataset-coverage.png")
    write_whole(docs / "dataset.md", datasheet(dataset, measured))
    print(
        f"{out}: {len(dataset)} samples, {size:.2f} MB, predictions change by {change:.4f} meV/atom; {measured['load']}"
    )
    return dataset


def failed_for_good(campaign: Campaign) -> dict[str, int]:
    """Return the number of permanent failures by stage and reason."""
    failed: Counter[str] = Counter()
    for document in newest_failed(campaign, number=100_000):
        failure = document["final_failure"]
        failed[f"{failure.get('stage')}: {failure.get('cause') or failure.get('kind')}"] += 1
    return dict(sorted(failed.items()))


if __name__ == "__main__":
    main()
