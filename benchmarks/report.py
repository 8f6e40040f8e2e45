"""Measure the time to build a report, its size, and the time to open it.

For each number of candidates (copies from a synthetic campaign, with different predictions and results), the wall times
of reading the campaign and of writing the page, the size of the page, and the time from opening it in chromium until
its tables are built and its first figure is drawn. The map of the DOS is left out, since its time depends on the cache.

    python benchmarks/report.py [--sizes 1000,10000,100000]

It uses a separate mongod on a free loopback port in a temporary folder, and requires chromium and playwright (extra
dev).

2026-11-24, two cores shared with four other processes (one run): 1,000 candidates: read in 0.2 s, written in 0.7 s,
6.3 MB, open in 2.1 s; 10,000: 2.0 s, 0.1 s, 6.7 MB, 2.2 s; 100,000: 10.7 s, 0.1 s, 6.8 MB, 1.7 s. Plotly and DataTables
take 5.8 MB of each page. Repeated with one other process: 1,000 open in 2.0 s, 100,000 in 1.7 and 2.5 s.
"""

import argparse
import shutil
import socket
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from campaign.store.campaigns import Campaign

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "campaign"))

from browser import chromium
from report_campaign import SECTIONS, add_many, finished
from small_campaign import SMALL

from campaign.spec.reader import read_firework_spec
from campaign.store.collections import CampaignStore
from campaign.store.fireworks import initialise_launchpad
from campaign.views.report.data import build_report
from campaign.views.report.page import render_html
from launchers.database.settings import DatabaseSettings
from launchers.mongod import server as mongo

_READY = (
    "document.querySelectorAll('table.display:not([data-made])').length === 0 && "
    "document.querySelector('.plot').dataset.drawn"
)


def main() -> None:
    """Print a line for each size."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--sizes", default="1000,10000,100000")
    sizes = [int(size) for size in parser.parse_args().sizes.split(",")]
    folder = Path(tempfile.mkdtemp(prefix="report-"))
    file = _launchpad_file(folder)
    mongo.start(DatabaseSettings.from_file(file), data_dir=folder / "mongodb")
    settings = DatabaseSettings.from_file(file)  # now includes the login
    try:
        for size in sizes:
            _measure(settings, folder, size)
    finally:
        mongo.stop(folder / "mongodb")
        shutil.rmtree(folder, ignore_errors=True)


def _launchpad_file(folder: Path) -> Path:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    path = folder / "my_launchpad.yaml"
    uri = f"mongodb://127.0.0.1:{port}/report?replicaSet=rs0"
    path.write_text(f"uri_mode: true\nhost: {uri}\nname: report\nstrm_lvl: WARNING\n")
    return path


def _measure(settings: DatabaseSettings, folder: Path, size: int) -> None:
    with settings.client() as client:
        client.drop_database("report")
    launchpad = settings.launchpad(strm_lvl="ERROR")
    initialise_launchpad(launchpad)
    store = CampaignStore(launchpad.db)
    spec = read_firework_spec({"campaign": {**SMALL, **SECTIONS}}, name="report")
    finished(store, launchpad, spec)
    add_many(store, "report", size)
    started = time.perf_counter()
    data = build_report(Campaign.read(store, "report"), map_of_dos=False)
    read = time.perf_counter()
    html = render_html(data)
    written = time.perf_counter()
    file = folder / "report.html"
    file.write_text(html)
    print(
        f"{size:7d} candidates: read in {read - started:6.2f} s, written in {written - read:5.2f} s, "
        f"{len(html.encode()) / 1e6:5.2f} MB, open in {_open(file):5.2f} s",
        flush=True,
    )


def _open(file: Path) -> float:
    """Return the shortest of three times, s."""
    times = []
    with chromium() as browser:
        for _ in range(3):
            page: Any = browser.new_page()
            started = time.perf_counter()
            page.goto(file.as_uri())
            while not page.evaluate(_READY):
                page.wait_for_timeout(10)
            times.append(time.perf_counter() - started)
            page.close()
    return min(times)


if __name__ == "__main__":
    main()
