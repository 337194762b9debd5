"""The alerts say what to do and each has a test; the panels of the dashboard have a title, a unit and a place."""

import json
from typing import Any

import pytest
import yaml

from tests.unit.deploy.manifests import DEPLOY, ROOT

MONITORING = DEPLOY / "monitoring"


def read(name: str) -> Any:
    return yaml.safe_load((MONITORING / name).read_text(encoding="utf-8"))


ALERTS = [rule for group in read("rules.yaml")["groups"] for rule in group["rules"]]
PANELS = [panel for panel in json.loads((MONITORING / "dashboard.json").read_text())["panels"] if "targets" in panel]
every_alert = pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert["alert"])


@every_alert
def test_every_alert_says_what_is_wrong_and_what_to_do(alert: dict[str, Any]) -> None:
    assert alert["labels"]["severity"] in {"critical", "warning"}
    assert alert["annotations"].keys() == {"summary", "description"}
    assert len(alert["annotations"]["description"].split()) > 10


@every_alert
def test_every_alert_has_a_test_where_it_fires_and_one_where_it_does_not(alert: dict[str, Any]) -> None:
    tests = [each for test in read("rules_test.yaml")["tests"] for each in test["alert_rule_test"]]
    fires = {bool(each.get("exp_alerts")) for each in tests if each["alertname"] == alert["alert"]}
    assert fires == {True, False}


@every_alert
def test_the_documents_and_commands_that_an_alert_names_exist(alert: dict[str, Any]) -> None:
    words = alert["annotations"]["description"].replace("(", " ").replace(")", " ").split()
    for word in words:
        if word.startswith("docs/"):
            assert (ROOT / word.rstrip(".,:")).is_file()


def test_every_panel_has_a_title_a_unit_and_a_place_of_its_own() -> None:
    places = [(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in PANELS]
    assert len(set(places)) == len(PANELS)
    for panel in PANELS:
        assert panel["title"]
        assert panel["description"].endswith(".")
        assert panel["fieldConfig"]["defaults"]["unit"]
        assert panel["datasource"]["uid"] == "${datasource}"
