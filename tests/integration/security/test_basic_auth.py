"""An MLflow server with basic auth works with its two variables. Without them, an error names them."""

import pytest

from fmnist.adapters.mlflow.connection import MlflowConnection
from fmnist.adapters.mlflow.tracker import MlflowTracker
from fmnist.domain.model.address import Address
from fmnist.domain.model.errors import StoreUnavailable
from fmnist.ports.tracker import RunStatus
from tests.integration.security.conftest import GuardedMlflow


@pytest.fixture
def tracker(guarded_mlflow: GuardedMlflow, monkeypatch: pytest.MonkeyPatch) -> MlflowTracker:
    monkeypatch.delenv("MLFLOW_TRACKING_USERNAME", raising=False)
    monkeypatch.delenv("MLFLOW_TRACKING_PASSWORD", raising=False)
    return MlflowTracker(MlflowConnection(Address(guarded_mlflow.uri)))


def test_run_is_recorded_with_user_and_password(
    tracker: MlflowTracker, guarded_mlflow: GuardedMlflow, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", guarded_mlflow.username)
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", guarded_mlflow.password)
    run_id = tracker.start("run", {"stage": "ci"})
    tracker.log(run_id, metrics={"val_acc": 0.5})
    tracker.log_artifact(run_id, "a.json", b"{}")
    tracker.set_status(run_id, RunStatus.FINISHED)
    assert tracker.get(run_id).status == RunStatus.FINISHED
    client = MlflowConnection(Address(guarded_mlflow.uri)).client()
    assert [file.path for file in client.list_artifacts(run_id)] == ["a.json"]
    assert [found.run_id for found in tracker.find({"stage": "ci"})] == [run_id]


@pytest.mark.parametrize("given", [{}, {"MLFLOW_TRACKING_USERNAME": "someone", "MLFLOW_TRACKING_PASSWORD": "guessed"}])
def test_error_without_user_and_password_names_the_variables(
    tracker: MlflowTracker, monkeypatch: pytest.MonkeyPatch, given: dict[str, str]
) -> None:
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(StoreUnavailable, match="check MLFLOW_TRACKING_USERNAME, MLFLOW_TRACKING_PASSWORD") as refusal:
        tracker.start("run", {})
    assert "guessed" not in str(refusal.value)
