"""The Grafana dashboard must name only metrics that Ray's endpoint really has, and nothing may fail without Ray."""

import json
import re
import time
import urllib.request
from pathlib import Path

import pytest

from esnet.ray.metrics import METRICS, PROMOTED, SCORED, TRIALS, RayMetrics

DASHBOARD = Path(__file__).resolve().parents[2] / "launchers" / "ray_cluster" / "grafana_dashboard.json"


def dashboard_panels() -> list[dict]:
    return json.loads(DASHBOARD.read_text())["panels"]


def test_metrics_without_a_ray_are_dropped():
    metrics = RayMetrics("alloys")
    metrics.add(SCORED, 3)
    metrics.set(TRIALS, 1, status="running")


def test_every_panel_has_a_query_a_source_and_a_place_of_its_own():
    document = json.loads(DASHBOARD.read_text())
    assert {"title", "uid", "schemaVersion", "panels", "templating", "time"} <= document.keys()
    indices = set()
    for panel in document["panels"]:
        assert {"id", "type", "title", "gridPos", "targets", "datasource", "fieldConfig"} <= panel.keys(), panel[
            "title"
        ]
        assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
        assert all(target["expr"] and target["refId"] for target in panel["targets"])
        area = panel["gridPos"]
        cells = {
            (x, y) for x in range(area["x"], area["x"] + area["w"]) for y in range(area["y"], area["y"] + area["h"])
        }
        assert area["x"] + area["w"] <= 24
        assert not cells & indices
        indices |= cells
    assert len({panel["id"] for panel in document["panels"]}) == len(document["panels"])
    names = {name for panel in document["panels"] for name in metric_names(panel)}
    ours = {f"ray_{metric.name}" + ("_total" if metric.kind == "counter" else "") for metric in METRICS}
    assert ours <= names, "a metric of ours is in no panel"


def metric_names(panel: dict) -> set[str]:
    return {name for target in panel["targets"] for name in re.findall(r"\bray_\w+", target["expr"])}


@pytest.mark.ray
def test_every_metric_of_the_dashboard_is_at_the_endpoint(ray_here):
    import ray

    metrics = RayMetrics("alloys")
    for metric in METRICS:
        if metric.kind == "counter":
            metrics.add(metric, 2)
        else:
            metrics.set(metric, 0.5, status="running" if metric is TRIALS else "")
    metrics.add(PROMOTED, 5)
    (node,) = ray.nodes()
    url = f"http://{node['NodeManagerAddress']}:{node['MetricsExportPort']}/metrics"
    wanted = {name for panel in dashboard_panels() for name in metric_names(panel)}
    missing: set[str] = wanted
    promoted: list[str] = []
    deadline = time.monotonic() + 60  # Ray reports every 10 s
    while (missing or not promoted) and time.monotonic() < deadline:
        with urllib.request.urlopen(url) as answer:
            text = answer.read().decode()
        missing = wanted - set(re.findall(r"^(ray_\w+)[{ ]", text, flags=re.MULTILINE))
        # other tests count in the same Ray
        ours = [line for line in text.splitlines() if 'campaign="alloys"' in line]
        promoted = [line for line in ours if line.startswith("ray_esnet_promoted_total{")]
        time.sleep(1)
    assert not missing
    (line,) = promoted
    assert line.endswith(" 7.0")
    # beside campaign, the label that the dashboard filters and groups by
    assert 'SessionName="' in line
