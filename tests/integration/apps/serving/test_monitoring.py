"""Dashboard and alerts name only metrics and labels that a running service exports."""

import json
import re
from collections.abc import Mapping
from pathlib import Path

import pytest
import yaml

from tests.integration.apps.serving.host import wait_until
from tests.integration.apps.serving.local import Local
from tests.integration.apps.serving.models import CORRUPT
from tests.integration.apps.serving.test_service import OCTETS, PIXELS

MONITORING = Path(__file__).parents[4] / "deploy" / "monitoring"
# Prometheus itself makes this metric and these labels.
OF_PROMETHEUS = {"up": {"job", "instance"}}
FUNCTIONS = {"absent", "histogram_quantile", "increase", "max", "rate", "sum", "vector"}
WORDS = {"and", "by", "group_left", "ignoring", "offset", "or", "unless"}


def queries() -> list[str]:
    panels = json.loads((MONITORING / "dashboard.json").read_text(encoding="utf-8"))["panels"]
    groups = yaml.safe_load((MONITORING / "rules.yaml").read_text(encoding="utf-8"))["groups"]
    shown = [target["expr"] for panel in panels for target in panel.get("targets", [])]
    return shown + [rule["expr"] for group in groups for rule in group["rules"]]


def names(query: str) -> tuple[set[str], set[str]]:
    """Return the metrics of a query, and the labels by which it selects, groups or ignores."""
    labels = set(re.findall(r'(\w+)\s*(?:=~|!~|!=|=)\s*"', query))
    for listed in re.findall(r"(?:by|ignoring) \(([^)]*)\)", query):
        labels |= set(re.findall(r"\w+", listed))
    bare = re.sub(r'"[^"]*"|\{[^}]*\}|\[[^\]]*\]|(?:by|ignoring|group_left) \([^)]*\)', " ", query)
    metrics = set(re.findall(r"\b[a-z_]\w*", bare)) - FUNCTIONS - WORDS
    return metrics, labels


def exported(page: str) -> Mapping[str, set[str]]:
    found: dict[str, set[str]] = dict(OF_PROMETHEUS)
    for name, labels in re.findall(r"^(\w+)\{(.*)\} ", page, re.MULTILINE):
        found.setdefault(name, set()).update(re.findall(r'(\w+)="', labels))
    return found


@pytest.fixture
def page(in_process: Local) -> Mapping[str, set[str]]:
    """The metrics after a prediction that was judged, a refused request and a failed reload."""
    assert in_process.client.post("/predict", content=PIXELS, headers=OCTETS).status_code == 200
    assert in_process.client.post("/predict", content=b"", headers=OCTETS).status_code == 422
    wait_until(lambda: "ray_fmnist_drift_distance{" in in_process.metrics(), "the window has been judged")
    in_process.choose(CORRUPT)
    wait_until(lambda: 'outcome="failed"' in in_process.metrics(), "a reload has failed")
    return exported(in_process.metrics())


def test_every_metric_and_label_of_dashboard_and_alerts_is_exported(page: Mapping[str, set[str]]) -> None:
    assert len(queries()) > 15
    for query in queries():
        metrics, labels = names(query)
        assert metrics, query
        assert metrics <= page.keys(), f"no service exports {metrics - page.keys()}: {query}"
        known = set().union(*(page[metric] for metric in metrics))
        assert labels <= known, f"no metric has the label {labels - known}: {query}"


def test_the_check_above_reads_metrics_and_labels_of_a_query() -> None:
    query = 'sum by (le, kind) (rate(ray_a_total{code=~"5..|x_y"}[5m])) / ignoring (of) group_left () (up or vector(0))'
    assert names(query) == ({"ray_a_total", "up"}, {"le", "kind", "code", "of"})
