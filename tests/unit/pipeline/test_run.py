"""The local pipeline ends at the first refusal: what was refused or not approved never reaches a release."""

from pathlib import Path

import pytest

from fmnist.domain.model.address import Address
from pipeline.__main__ import _parameters
from pipeline.run import run_pipeline
from pipeline.service import LocalService
from pipeline.steps import StepFailed, Steps

BEFORE = ["resolve-data", "train", "compare"]
AFTER = ["release", "deploy", "smoke-test"]


class RecordedSteps(Steps):
    """Runs nothing. The named step refuses the model."""

    def __init__(self, refused_by: str | None = None) -> None:
        super().__init__(Path("unused"), {})
        self.ran: list[str] = []
        self.refused_by = refused_by

    def run(self, name: str, *arguments: str, outputs: bool = True, **variables: str) -> dict[str, str]:
        self.ran.append(name)
        promoted = "false" if name == self.refused_by else "true"
        versions = {"data_version": "fashion-mnist-v1.0.0", "staging_version": "1", "model_uri": "models:/prod.m/1"}
        return {"promoted": promoted, "message": f"a message of {name}", **versions}


class RecordedService(LocalService):
    """Starts nothing."""

    followed = 0

    def begin(self, root: Path) -> None:
        pass

    def follow(self) -> None:
        self.followed += 1


@pytest.fixture
def service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RecordedService:
    monkeypatch.setenv("MLFLOW_REGISTERED_MODEL_NAME", "ci.m")
    return RecordedService(tmp_path, Address(str(tmp_path / "gitops.git")), "main", "deploy/base/rayservice.yaml")


def run(steps: Steps, service: LocalService, approval: str = "automatic") -> None:
    run_pipeline({**_parameters([]), "approval_mode": approval}, steps, service)


@pytest.mark.parametrize(
    ("refused_by", "expected"), [("compare", BEFORE), ("test", [*BEFORE, "stage", "test"])], ids=["compare", "test"]
)
def test_refused_model_is_not_released_and_the_service_does_not_change(
    service: RecordedService, capsys: pytest.CaptureFixture[str], refused_by: str, expected: list[str]
) -> None:
    steps = RecordedSteps(refused_by)
    run(steps, service)
    assert (steps.ran, service.followed) == (expected, 0)
    assert f"{refused_by} refused the model, and the service does not change: a message of" in capsys.readouterr().out


@pytest.mark.parametrize("answer", ["no", "N", "", None])
def test_model_without_an_approval_is_not_released(
    service: RecordedService, monkeypatch: pytest.MonkeyPatch, answer: str | None
) -> None:
    def say(_: str) -> str:
        if answer is None:
            raise EOFError
        return answer

    monkeypatch.setattr("builtins.input", say)
    steps = RecordedSteps()
    with pytest.raises(StepFailed, match="not approved"):
        run(steps, service, "manual")
    assert (steps.ran, service.followed) == ([*BEFORE, "stage", "test"], 0)


def test_approved_model_is_released_and_served(service: RecordedService, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("builtins.input", lambda _: "A. Person")
    steps = RecordedSteps()
    run(steps, service, "manual")
    assert (steps.ran, service.followed) == ([*BEFORE, "stage", "test", "approve", *AFTER], 1)
