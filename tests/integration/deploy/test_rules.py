"""Prometheus itself accepts the rules and the dashboard's queries, and each alert fires where its test says.

promtool is on PATH, or comes from the Debian package like the dataset. Only in CI is a machine without it an error.
"""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from fmnist.adapters.idx import debian
from fmnist.domain.model.errors import StoreUnavailable

MONITORING = Path(__file__).parents[3] / "deploy" / "monitoring"
PACKAGE = "prometheus"


@pytest.fixture(scope="module")
def promtool(tmp_path_factory: pytest.TempPathFactory) -> str:
    if found := shutil.which("promtool"):
        return found
    scratch = tmp_path_factory.mktemp("promtool")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(debian, "PACKAGE", PACKAGE)
        try:
            package = debian._download_package(scratch)
        except StoreUnavailable as error:
            if "CI" in os.environ:
                raise
            pytest.skip(f"the rules are NOT checked: promtool is missing, install {PACKAGE} ({error})")
    subprocess.run(["dpkg-deb", "--extract", package, scratch], check=True)
    return str(scratch / "usr" / "bin" / "promtool")


def run(*command: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*command], capture_output=True, text=True, timeout=60, check=False)


def test_prometheus_accepts_the_rules(promtool: str) -> None:
    done = run(promtool, "check", "rules", MONITORING / "rules.yaml")
    assert done.returncode == 0, done.stderr
    assert "7 rules found" in done.stdout


def test_each_alert_fires_where_it_should_and_nowhere_else(promtool: str) -> None:
    done = run(promtool, "test", "rules", MONITORING / "rules_test.yaml")
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_tests_of_the_rules_catch_a_wrong_threshold(promtool: str, tmp_path: Path) -> None:
    shutil.copy(MONITORING / "rules_test.yaml", tmp_path)
    rules = (MONITORING / "rules.yaml").read_text(encoding="utf-8")
    (tmp_path / "rules.yaml").write_text(rules.replace("> 0.01", "> 0.1"), encoding="utf-8")
    done = run(promtool, "test", "rules", tmp_path / "rules_test.yaml")
    assert done.returncode == 1
    assert "FmnistErrors" in done.stdout + done.stderr


def test_prometheus_accepts_the_queries_of_the_dashboard(promtool: str, tmp_path: Path) -> None:
    panels = json.loads((MONITORING / "dashboard.json").read_text(encoding="utf-8"))["panels"]
    queries = [target["expr"] for panel in panels for target in panel.get("targets", [])]
    rules = [
        {"record": f"query{number}", "expr": query.replace("$__rate_interval", "5m")}
        for number, query in enumerate(queries)
    ]
    file = tmp_path / "queries.yaml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": rules}]}), encoding="utf-8")
    done = run(promtool, "check", "rules", file)
    assert done.returncode == 0, done.stderr
    assert f"{len(queries)} rules found" in done.stdout
