"""Services that fail while they are needed, and full disks: what the user reads, and what remains."""

import re
import resource
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest
from mlflow import MlflowClient
from mlflow.entities import Run

from stack.services import HOST, Service, free_ports, ray_head, tracking_server
from tests.integration.apps.command import Command
from tests.integration.apps.conftest import RECIPE
from tests.integration.apps.here import Here
from tests.integration.services import new_object_store, running, stop

LOCAL = ("train", "--compute", "local", *RECIPE)
WITHOUT_PATIENCE = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0"}


@dataclass
class Outages:
    """A service that a test can stop and start again."""

    service: Service
    directory: Path
    process: psutil.Process
    returned: ExitStack

    def begin(self) -> None:
        stop(self.process)

    def end(self) -> None:
        self.process = self.returned.enter_context(running(self.service, self.directory))


@contextmanager
def unsteady(service: Service, directory: Path) -> Iterator[Outages]:
    with ExitStack() as returned, running(service, directory) as process:
        yield Outages(service, directory, process, returned)


@dataclass
class Platform:
    """A tracking server and its store, for one test."""

    tracker: Outages
    store: Outages
    uri: str

    def only_run(self) -> Run:
        client = MlflowClient(self.uri)
        (run,) = client.search_runs([each.experiment_id for each in client.search_experiments()])
        return run

    def steps(self, run_id: str, metric: str) -> list[int]:
        return [value.step for value in MlflowClient(self.uri).get_metric_history(run_id, metric)]


@pytest.fixture
def platform(command: Command) -> Iterator[Platform]:
    home, objects = command.home / "platform", new_object_store()
    home.mkdir()
    (port,) = free_ports(1)
    with unsteady(objects.service(home / "s3"), home) as store:
        objects.make_buckets(["mlflow"])
        with unsteady(tracking_server(port, home, objects, "s3://mlflow/artifacts"), home) as tracker:
            platform = Platform(tracker, store, f"http://{HOST}:{port}")
            command.variables |= {"MLFLOW_TRACKING_URI": platform.uri, **WITHOUT_PATIENCE}
            yield platform


def test_tracker_that_fails_during_training_loses_no_training(platform: Platform, command: Command) -> None:
    started = command.start(*LOCAL)
    started.wait_for("epoch 1/3")
    platform.tracker.begin()
    code, said = started.end()
    assert code == 1
    assert "epoch 3/3" in said, "training went on"
    assert "the tracker does not accept the metrics of epoch" in said
    missing = "3; the metrics of the chosen epoch; the model; its report; its final status"
    assert f"{missing}\n" in said
    assert said.splitlines()[-1].startswith(f"error: MLflow at {platform.uri} fails on run")

    platform.tracker.end()
    run_id = platform.only_run().info.run_id
    assert f"fmnist train --resume {run_id} continues from its last checkpoint" in said
    code, _, said = Here(command)("train", "--resume", run_id)
    assert code == 0, said
    assert not re.search(r"epoch \d/3", said), "nothing is trained again"
    assert platform.only_run().info.status == "FINISHED"
    assert platform.steps(run_id, "val_acc") == [0, 1, 2, 3]


@pytest.mark.soak
def test_run_can_be_finished_after_the_model_store_failed(platform: Platform, command: Command) -> None:
    started = command.start(*LOCAL)
    started.wait_for("epoch 1/3")
    platform.store.begin()
    code, said = started.end()
    assert code == 1
    run = platform.only_run()
    assert f"not recorded for run {run.info.run_id}: the model; its report; its final status\n" in said
    assert run.info.status == "FAILED"
    assert platform.steps(run.info.run_id, "val_acc") == [0, 1, 2, 3]

    platform.store.end()
    done = command.run("train", "--resume", run.info.run_id)
    assert done.returncode == 0, done.stderr
    assert platform.only_run().info.status == "FINISHED"
    (version,) = MlflowClient(platform.uri).search_model_versions()
    assert version.run_id == run.info.run_id


@pytest.mark.soak
def test_training_waits_for_a_tracker_that_restarts(platform: Platform, command: Command) -> None:
    command.variables["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] = "9"
    started = command.start(*LOCAL)
    started.wait_for("epoch 1/3")
    platform.tracker.begin()
    platform.tracker.end()
    code, said = started.end()
    assert (code, "not recorded" in said) == (0, False)
    run = platform.only_run()
    assert (run.info.status, platform.steps(run.info.run_id, "val_acc")) == ("FINISHED", [0, 1, 2, 3])


@pytest.mark.soak
def test_cluster_that_is_lost_during_training_is_named(command: Command) -> None:
    port, dashboard_port = free_ports(2)
    command.variables |= {"RAY_AUTH_MODE": "disabled", "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}
    with (
        tempfile.TemporaryDirectory(prefix="ray", dir="/tmp") as scratch,  # the names of sockets are short
        unsteady(ray_head("ray", port, dashboard_port, Path(scratch), command.variables), command.home) as cluster,
    ):
        started = command.start("train", "--ray-address", f"{HOST}:{port}", *RECIPE[:-4], "--max-epochs", "200")
        started.wait_for("epoch   1/200")
        cluster.begin()
        code, said = started.end()
    assert code == 1
    # Not the last line, because Ray's own threads log after it.
    assert f"\nerror: the Ray cluster at {HOST}:{port} was lost: " in said
    run = command.only_run()
    assert run.info.status == "FAILED"
    assert f"fmnist train --resume {run.info.run_id} continues from its last checkpoint" in said


def test_registry_that_does_not_answer_is_named_before_a_run_starts(here: Here, command: Command) -> None:
    line = here.refused(*LOCAL, code=1, DVC_REPO_URL=f"git://{HOST}:1/data-registry.git")
    assert f"git://{HOST}:1/data-registry.git" in line
    assert command.runs() == []


def test_full_disk_ends_the_run_and_is_named(here: Here, command: Command) -> None:
    large = ("--model", "resnet18", "--limit-train", "16", "--limit-val", "8", "--max-epochs", "1", "--batch-size", "8")
    with files_up_to(8 * 2**20):
        line = here.refused("train", "--compute", "local", *large, code=1)
    assert "the checkpoint of epoch 1 cannot be written to" in line
    assert "free some space there" in line
    run = command.only_run()
    assert (run.info.status, command.versions()) == ("FAILED", [])
    code, _, said = here("train", "--resume", run.info.run_id)
    assert (code, command.only_run().info.status) == (0, "FINISHED"), said


@contextmanager
def files_up_to(size: int) -> Iterator[None]:
    """Limit files of this process to `size` bytes, as on an almost full disk."""
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
