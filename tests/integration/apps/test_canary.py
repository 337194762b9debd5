"""`fmnist canary` with the embedded default: commits to the manifest, and a service that reports over a real socket."""

import json
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

from fmnist.adapters.git.desired_state import GitDesiredState
from fmnist.apps import canary as module
from fmnist.domain.model.address import Address
from fmnist.domain.model.promotion.policy import PromotionPolicy, Rule
from fmnist.domain.model.promotion.records import AcceptanceRecord, Basis
from fmnist.domain.model.traffic.canary_report import ArmReport, CanaryReport
from fmnist.domain.model.traffic.trial import TIME_BINS
from tests.integration.apps.command import Command
from tests.integration.apps.here import Here
from tests.integration.apps.toy_service import OneModel, service
from tests.integration.support import MANIFEST, git

CHAMPION, STAGED = (f"models:/{stage}.fashion-mnist-classifier/1" for stage in ("prod", "staging"))


@pytest.fixture
def staged(here: Here, command: Command, repository: Path) -> str:
    """A version that passed its test beside the deployed champion. For a canary, both need only to be registered."""
    here("promote", "history")  # creates the registry
    for stage in ("staging", "prod"):
        command.client.create_registered_model(f"{stage}.fashion-mnist-classifier")
    command.client.create_model_version("prod.fashion-mnist-classifier", str(command.home / "artifact"))
    command.client.set_registered_model_alias("prod.fashion-mnist-classifier", "champion", "1")
    fine = Rule("loading", passed=True, figures={}, reason="for a test")
    test = AcceptanceRecord(
        version=STAGED, at="2026-12-01T12:00:00Z", checks=(fine,), basis=Basis(CHAMPION, PromotionPolicy())
    )
    name = "staging.fashion-mnist-classifier"
    command.client.create_model_version(name, str(command.home / "artifact"), tags=test.tag())
    command.client.set_registered_model_alias(name, "candidate", "1")
    here.told("deploy")
    return STAGED


def written(repository: Path) -> Any:
    manifest = yaml.safe_load(git(repository, "show", f"main:{MANIFEST}"))
    (deployment,) = yaml.safe_load(manifest["spec"]["serveConfigV2"])["applications"][0]["deployments"]
    return deployment["user_config"]


def report(percent: int, calls: int = 2000, failed: int = 0) -> CanaryReport:
    times = tuple(calls if place == 9 else 0 for place in range(TIME_BINS))
    arm = ArmReport(
        model_uri=CHAMPION,
        times=times,
        failed=0,
        classes=(calls, *9 * [0]),
        drift="ok",
        expected_accuracy=0.9,
        labelled=0,
        right=0,
    )
    challenger = replace(arm, model_uri=STAGED, failed=failed)
    return CanaryReport(
        state="running",
        model_uri=CHAMPION,
        challenger_uri=STAGED,
        percent=percent,
        champion=arm,
        challenger=challenger,
    )


def test_canary_is_led_to_its_end(
    here: Here, command: Command, repository: Path, staged: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_PAUSE_SECONDS", 0)
    started = here.json("canary", "start", "--by", "A. Person")
    assert (started["action"], started["changed"], started["percent"], started["model_uri"]) == (
        "start",
        True,
        5,
        staged,
    )
    assert written(repository) == {"model_uri": CHAMPION, "canary": {"model_uri": staged, "percent": 5}}
    serving = OneModel(None)
    serving.trials = [report(5, calls=10), report(5), report(5), report(25), report(50)]
    with service(serving) as url:
        waiting = here.json("canary", "step", url)
        assert (waiting["action"], waiting["guards"][0]["finding"]) == ("wait", "open")
        code, out, err = here("canary", "step", url, "--wait", "--output-dir", "out")
    assert code == 0, err
    assert f"finish: {staged} gets 100 %: no guard has tripped at 50 %" in out
    assert "0 of 2,000 calls failed" in out
    assert "next: fmnist promote release && fmnist deploy" in err
    outputs = {path.name: path.read_text() for path in (command.home / "out").iterdir()}
    assert json.loads(outputs.pop("report.json"))["percent"] == 100
    assert (outputs["action"], outputs["changed"], outputs["percent"]) == ("finish", "true", "100")
    subjects = git(repository, "log", "--format=%s", "main").splitlines()
    assert subjects[:4] == [f"Canary {staged} at {percent} %" for percent in (100, 50, 25, 5)]
    assert f"the canary {staged} at 100 % is removed" in here.told("deploy")
    assert written(repository) == {"model_uri": CHAMPION}


def test_canary_is_aborted_by_a_guard_and_by_a_person(here: Here, repository: Path, staged: str) -> None:
    here.told("canary", "start", "--model-uri", staged)
    serving = OneModel(None)
    serving.trials = [report(5, failed=900)]
    with service(serving) as url:
        decision = here.json("canary", "step", url, "--wait")
    assert (decision["action"], decision["percent"]) == ("abort", 0)
    assert written(repository) == {"model_uri": CHAMPION}
    here.told("canary", "start")
    assert "gets 100 %: long enough" in here.told("canary", "finish", "--reason", "long enough")
    assert "gets no requests: no" in here.told("canary", "abort", "--reason", "no")


def test_policy_file_gives_the_steps(here: Here, command: Command, repository: Path, staged: str) -> None:
    (command.home / "canary.toml").write_text("steps = [10, 90]\n")
    here.told("canary", "start", "--policy", "canary.toml")
    assert written(repository)["canary"]["percent"] == 10


def test_failed_command_gives_one_line(here: Here, command: Command, repository: Path, staged: str) -> None:
    assert "there is no canary" in here.refused("canary", "abort", "--reason", "no")
    (command.home / "wrong.toml").write_text("steps = [90, 10]\n")
    assert "rising whole numbers" in here.refused("canary", "start", "--policy", "wrong.toml")
    here.told("canary", "start")
    assert "Connection refused" in here.refused("canary", "step", "http://127.0.0.1:9", code=1)
    here.told("canary", "abort", "--reason", "no")
    command.client.delete_model_version_tag("staging.fashion-mnist-classifier", "1", "acceptance")
    assert "is not tested; run fmnist promote test" in here.refused("canary", "start")
    assert len(git(repository, "log", "--format=%s", "main").splitlines()) == 4


def test_waiting_ends_when_another_command_ends_the_canary(
    here: Here, repository: Path, staged: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = GitDesiredState(Address(str(repository)), "main", MANIFEST)

    def deploy_meanwhile(_: float) -> None:
        state.write(CHAMPION, None, after=state.read().revision, message="Serve it")

    monkeypatch.setattr(module, "time", SimpleNamespace(sleep=deploy_meanwhile, monotonic=time.monotonic))
    here.told("canary", "start")
    serving = OneModel(None)
    serving.trials = [report(5, calls=10)]
    with service(serving) as url:
        decision = here.json("canary", "step", url, "--wait", "--model-uri", staged)
    assert (decision["action"], decision["changed"], decision["percent"]) == ("abort", False, 0)
    assert "there is no canary" in decision["message"]


def test_share_that_lasts_too_long_is_aborted(
    here: Here, command: Command, repository: Path, staged: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_PAUSE_SECONDS", 0.01)
    (command.home / "canary.toml").write_text("max_hours = 1e-6\n")
    here.told("canary", "start")
    serving = OneModel(None)
    serving.trials = [report(5, calls=10)]
    with service(serving) as url:
        decision = here.json("canary", "step", url, "--wait", "--policy", "canary.toml")
    assert decision["action"] == "abort"
    assert "not shown to be good enough within 1e-06 h: errors: 0 of 10 calls failed" in decision["message"]
    assert written(repository) == {"model_uri": CHAMPION}
