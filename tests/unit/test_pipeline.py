"""The local pipeline runs the same commands as the platform's manifests, and stops at the same steps."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fmnist.domain.model.address import Address
from pipeline.__main__ import main
from pipeline.run import document, roll_back, run_pipeline
from pipeline.service import LocalService
from pipeline.steps import StepFailed, Steps
from stack.__main__ import main as stack
from tests.unit.deploy.manifests import render, templates

STAGED, RELEASED = "models:/staging.fashion-mnist-classifier/7", "models:/prod.fashion-mnist-classifier/3"
YES = {"promoted": "true", "message": "yes"}
OUTPUTS = {
    "resolve-data": {"data_version": "fashion-mnist-v1.0.0"},
    "compare": YES,
    "stage": {"staging_version": "7"},
    "test": YES,
    "deploy": {"model_uri": RELEASED},
}
DELIVERY = ["release", "deploy", "smoke-test"]
TO_THE_TEST = ["resolve-data", "train", "compare", "stage", "test"]


class Recorded(Steps):
    """Steps that run nothing."""

    def __init__(self, home: Path, **outputs: dict[str, str]) -> None:
        super().__init__(home, {})
        self.outputs = {**OUTPUTS, **outputs}
        self.ran: dict[str, list[str]] = {}
        self.variables: dict[str, Any] = {}

    def run(self, name: str, *arguments: str, outputs: bool = True, **variables: str) -> dict[str, str]:
        self.ran[name] = [*arguments, *(["--output-dir", "/tmp/outputs"] if outputs else [])]  # noqa: S108
        self.variables |= {name: variables}
        return self.outputs.get(name, {})


class Followed(LocalService):
    """A service that does not follow the repository."""

    def begin(self, checkout: Path) -> None:
        pass

    def follow(self) -> None:
        pass


@pytest.fixture
def service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LocalService:
    monkeypatch.setenv("MLFLOW_REGISTERED_MODEL_NAME", "ci.fashion-mnist-classifier")
    return Followed(tmp_path, Address(""), "main", "")


@pytest.mark.parametrize("command", [main, stack])
def test_commands_do_not_pass_warnings_as_errors_to_services(
    monkeypatch: pytest.MonkeyPatch, command: Callable[[], int]
) -> None:
    monkeypatch.setattr("sys.argv", ["command", "--help"])
    monkeypatch.setattr("sys.warnoptions", ["error"])
    monkeypatch.setenv("PYTHONWARNINGS", "error")
    with pytest.raises(SystemExit):
        command()
    assert os.environ["PYTHONWARNINGS"] == ""


def values(**given: str) -> dict[str, str]:
    declared = document("pipeline")["spec"]["arguments"]["parameters"]
    return {each["name"]: each.get("value", "local") for each in declared} | given


def test_each_step_is_the_command_of_the_manifests(tmp_path: Path, service: LocalService) -> None:
    steps, back = Recorded(tmp_path), Recorded(tmp_path)
    run_pipeline(values(comparison_higher_is_better="false"), steps, service)
    roll_back("A. Person", "-v", back, service)
    given = {
        "data_version": "latest",
        "metric": "val_acc",
        "higher_is_better": "false",
        "threshold": "0.05",
        "serving_image": "ghcr.io/fmnist/fmnist-serving:local",
        "approval": "automatic",
        "by": "A. Person",
        "reason": "-v",
        "url": service.url,
    }
    checked = set()
    for template in templates():
        name = template.body["name"]
        if template.home != "fmnist-steps" or name not in steps.ran | back.ran:
            continue
        scope = {f"inputs.parameters.{key}": value for key, value in given.items()}
        scope["inputs.parameters.model_uri"] = RELEASED if name == "smoke-test" else STAGED
        scope["workflow.name"] = f"pipeline-{steps.uid[:5]}"
        assert (steps.ran | back.ran | {"deploy": steps.ran["deploy"]})[name] == render(
            template.body["container"]["args"], scope
        )
        checked.add(name)
    assert checked == {*TO_THE_TEST, *DELIVERY, "rollback"} - {"train"}


def test_training_uses_the_resolved_data_and_the_compute_type(tmp_path: Path, service: LocalService) -> None:
    steps = Recorded(tmp_path)
    run_pipeline(values(compute_type="cpu-small-distributed", training_args="--run-name 'a b'"), steps, service)
    assert steps.ran["train"] == ["train", "--num-workers", "2", "--gpu-per-worker", "0", "--run-name", "a b"]
    assert steps.variables["train"] == {"DOCKER_IMAGE_TAG": "local", "DVC_DATA_VERSION": "fashion-mnist-v1.0.0"}


@pytest.mark.parametrize(
    ("refusal", "ran"), [(None, [*TO_THE_TEST, *DELIVERY]), ("compare", TO_THE_TEST[:3]), ("test", TO_THE_TEST)]
)
def test_model_that_is_refused_goes_no_further(
    tmp_path: Path, service: LocalService, capsys: pytest.CaptureFixture[str], refusal: str | None, ran: list[str]
) -> None:
    no = {refusal: {"promoted": "false", "message": "for a reason"}} if refusal else {}
    steps = Recorded(tmp_path, **no)
    run_pipeline(values(), steps, service)
    assert list(steps.ran) == ran
    said = f"{refusal} refused the model, and the service does not change: for a reason"
    assert (said in capsys.readouterr().out) == bool(refusal)


def test_manual_approval_is_recorded_with_user_and_reason_before_the_release(
    tmp_path: Path, service: LocalService, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = iter(["A. Person", "looked at it"])
    monkeypatch.setattr("builtins.input", lambda _: next(answers))
    steps = Recorded(tmp_path)
    run_pipeline(values(approval_mode="manual"), steps, service)
    assert list(steps.ran) == [*TO_THE_TEST, "approve", *DELIVERY]
    assert {"--by=A. Person", "--reason=looked at it", STAGED} <= set(steps.ran["approve"])
    assert steps.ran["release"][steps.ran["release"].index("--approval") + 1] == "manual"


@pytest.mark.parametrize("answers", [["no"], ["N"], [""], ["A. Person", "no"], []])
def test_only_yes_is_an_approval(
    tmp_path: Path, service: LocalService, monkeypatch: pytest.MonkeyPatch, answers: list[str]
) -> None:
    def answer(_: str) -> str:
        if not answers:
            raise EOFError
        return answers.pop(0)

    monkeypatch.setattr("builtins.input", answer)
    steps = Recorded(tmp_path)
    with pytest.raises(StepFailed, match="not approved"):
        run_pipeline(values(approval_mode="manual"), steps, service)
    assert list(steps.ran) == TO_THE_TEST


@pytest.mark.parametrize(
    ("parameter", "complaint"),
    [
        ("a", "error: -p a must be NAME=VALUE"),
        ("a=1", "error: -p a=1: there is no parameter a, expected one of dvc_data_version, "),
        ("approval_mode=maybe", "error: -p approval_mode=maybe: expected one of automatic, manual"),
        ("training_args=--run-name it's", "error: -p training_args=--run-name it's: No closing quotation"),
        ("approval_mode=manual", "error: -p approval_mode=manual asks a person: run it in a terminal"),
    ],
)
def test_invalid_parameter_is_refused_before_anything_runs(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path, parameter: str, complaint: str
) -> None:
    monkeypatch.setenv("FMNIST_HOME", str(tmp_path))
    monkeypatch.setattr("sys.argv", ["pipeline", "run", "-p", parameter])
    monkeypatch.setattr("pipeline.__main__.take_signals", lambda: None)
    assert main() == 2
    assert complaint in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
