"""`fmnist promote` where fmnist has trained no model: without any model, and with a model of another tool."""

import os
from typing import Any

import mlflow
import pytest

from tests.integration.apps.command import Command
from tests.integration.apps.here import Here

SOURCE, STAGING, PROD = (f"{stage}.fashion-mnist-classifier" for stage in ("dev", "staging", "prod"))


class Foreign(mlflow.pyfunc.PythonModel):
    """Unpickling it creates a folder."""

    def __init__(self, trace: str) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (self.trace,)

    def predict(self, model_input: list[str]) -> list[str]:
        return model_input


@pytest.fixture
def foreign(command: Command, tmp_path_factory: pytest.TempPathFactory) -> Here:
    """A state directory with only a foreign model: a pickle that creates a folder if it runs."""
    directory = tmp_path_factory.mktemp("foreign")
    artifact = directory / "model"
    mlflow.pyfunc.save_model(artifact, python_model=Foreign(str(command.home / "ran")), pip_requirements=[])
    client = command.client
    experiment = client.create_experiment("elsewhere", artifact_location=str(directory / "artifacts"))
    run = client.create_run(experiment, tags={"dvc_data_version": "fashion-mnist-v1.0.0"})
    client.log_metric(run.info.run_id, "val_acc", 0.99)
    client.log_artifacts(run.info.run_id, str(artifact), "model")
    client.create_registered_model(SOURCE)
    client.create_model_version(SOURCE, f"{run.info.artifact_uri}/model", run.info.run_id, tags=run.data.tags)
    return Here(command)


def test_on_a_fresh_machine_every_command_says_what_is_missing(here: Here) -> None:
    for arguments, complaint in (
        (("run",), f"no version of {SOURCE} is registered; run fmnist train"),
        (("test",), f"{STAGING} has no alias 'candidate'"),
        (("rollback", "--reason", "why"), f"{PROD} has no champion"),
    ):
        assert complaint in here.refused("promote", *arguments)
    assert "no events yet" in here.told("promote", "history")
    assert here.told("promote", "status").count("none") == 4


def test_a_platform_without_a_workflow_must_name_the_model(here: Here) -> None:
    assert (
        here.refused("promote", "run", ENVIRONMENT="production")
        == "ENVIRONMENT is production: set ARGO_WORKFLOW_UID, or give --model-uri"
    )


def test_a_foreign_model_is_refused_and_its_pickle_is_not_run(foreign: Here) -> None:
    measured = foreign.refused("promote", "run", code=1)
    assert f"models:/{SOURCE}/1: its artifact has no model.onnx" in measured
    assert {entry.name for entry in foreign.command.client.search_model_versions()} == {SOURCE}
    (event,) = foreign.json("promote", "history")
    assert (event["what"], event["version"], event["by"]) == ("registered", f"models:/{SOURCE}/1", "")
    # By its logged metric, it could become the first champion.
    refused = foreign.json("promote", "run", "--mode", "contract")
    assert (refused["promoted"], refused["staging_version"], refused["prod_version"]) == (False, "1", "")
    assert "its test failed: " in refused["message"]
    assert foreign.json("promote", "test")["promoted"] is False
    assert "may not be released" in foreign.refused("promote", "release")
    trace = foreign.command.home / "ran"
    assert not trace.exists()
    # The trap works: MLflow itself unpickles it, which creates the folder.
    with pytest.raises(AttributeError, match="NoneType"):
        mlflow.pyfunc.load_model(foreign.command.client.get_model_version_download_uri(STAGING, "1"))
    assert trace.exists()
