"""Every failure of a training run gives one clear line and the right exit code, and leaves nothing half-written."""

import shutil
import socket
import time
from pathlib import Path

import pytest

from fmnist.adapters.dvc.registry import DvcDataRegistry
from fmnist.adapters.dvc.settings import RegistrySettings
from fmnist.adapters.filelock.lock import RunLock
from fmnist.domain.model.training.presets import PRESETS
from fmnist.domain.model.training.recipe import ARCHITECTURES
from tests.integration.apps.command import Command
from tests.integration.apps.conftest import RECIPE, Trained
from tests.integration.apps.here import Here

LOCAL = ("train", "--compute", "local", *RECIPE)
RUN = "0123456789abcdef0123456789abcdef"


@pytest.fixture
def damaged_registry(toy_registry: RegistrySettings, command: Command) -> None:
    """Replace the command's registry by one whose train split has a flipped bit."""
    store = command.home / "store"
    shutil.copytree(str(toy_registry.remote_url), store)
    command.registry = RegistrySettings(repo=toy_registry.repo, remote_url=str(store))
    file = Path(DvcDataRegistry(command.registry).resolve().files("train")[0].uri)
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.chmod(0o644)
    file.write_bytes(content)


@pytest.mark.parametrize(
    ("flags", "complaint"),
    [
        (["--batch-size", "0"], "batch_size must be at least 1, found 0"),
        (["--lr", "nan"], "lr must be above 0, found nan"),
        (["--lr", "1e308"], "lr must be at most 1e+38, found 1e+308"),
        (["--seed", "-1"], "seed must be in [0, 2**32), found -1"),
        (["--num-workers", "1000000000"], "num_workers must be at most 1000, found more"),
        (["--max-epochs", "9" * 30], "max_epochs must be at most 2147483647"),
        (["--limit-train", "9" * 30], "limit_train must be at most 2147483647"),
        (["--gpu-per-worker", "nan"], "gpu_per_worker must be 0 or more, found nan"),
        (["--model", "vgg"], f"architecture must be one of {', '.join(ARCHITECTURES)}, found vgg"),
        (["--preset", "quick"], f"preset 'quick' is none of {', '.join(PRESETS)}, and there is no such file"),
        (["--compute", "local", "--num-workers", "2"], "--compute local is one worker"),
        (["--compute", "local", "--gpu-per-worker", "0.5"], "--compute local is one worker"),
        (["--compute", "local", "--ray-address", "head:6379"], "leave out --ray-address head:6379"),
        (["--resume", RUN, "--lr", "0.1", "--compute", "ray"], "leave out --lr, --compute"),
        (["--data-version", "9.9.9"], "has no version '9.9.9': it has fashion-mnist-v1.0.0, fashion-mnist-v0.9.0"),
        (["--data-version", "newest"], "has no version 'newest'"),
        (["--resume", RUN], f"run '{RUN}' is not in MLflow"),
        (["--resume", "no id"], "run 'no id' is not in MLflow"),
    ],
)
def test_bad_flags_start_no_run(here: Here, command: Command, flags: list[str], complaint: str) -> None:
    assert complaint in here.refused("train", *flags)
    assert command.runs() == []


@pytest.mark.parametrize("flag", [["--batch-size", "many"], ["--compute", "cloud"], ["--colour", "red"]])
def test_an_unknown_flag_or_an_invalid_number_is_a_usage_error(here: Here, command: Command, flag: list[str]) -> None:
    code, out, err = here("train", *flag)
    assert (code, out) == (2, "")
    assert "Usage: fmnist train" in err
    assert list(command.home.iterdir()) == []


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"[[a]]\nb = 1\n", "a recipe has no field a: its fields are architecture, batch_size, "),
        (b"lr = 'fast'\n", "lr must be of type float, found a str"),
        (b"batch_size = " + b"9" * 5000, "Exceeds the limit"),
        (b"lr = \n", "Invalid value (at line 1, column 6)"),
    ],
)
def test_malformed_preset_file_is_named(here: Here, command: Command, content: bytes, complaint: str) -> None:
    preset = command.home / "preset.toml"
    preset.write_bytes(content)
    line = here.refused("train", "--preset", str(preset))
    assert line.startswith(f"preset file {preset} cannot be used: ")
    assert complaint in line
    assert list(command.home.iterdir()) == [preset]


def test_on_the_platform_all_missing_variables_are_named_at_once(here: Here, command: Command) -> None:
    line = here.refused("train", ENVIRONMENT="training", DOCKER_IMAGE_TAG="", DVC_DATA_VERSION="1.0.0")
    assert line.endswith("set ARGO_WORKFLOW_UID, DOCKER_IMAGE_TAG")
    assert list(command.home.iterdir()) == []


def test_on_the_platform_the_data_contract_overrides_flags(here: Here) -> None:
    contract = {"ARGO_WORKFLOW_UID": "uid", "DOCKER_IMAGE_TAG": "tag", "DVC_DATA_VERSION": "7.0.0"}
    flags = (*LOCAL, "--data-version", "8.0.0")
    assert "no version '7.0.0'" in here.refused(*flags, ENVIRONMENT="production", **contract)
    assert "no version '8.0.0'" in here.refused(*flags, ENVIRONMENT="development", **contract)


def test_settings_that_cannot_give_a_model_start_no_run(here: Here, command: Command) -> None:
    assert "'fashion mnist' may have only letters" in here.refused(*LOCAL, MLFLOW_REGISTERED_MODEL_NAME="fashion mnist")
    assert "256 characters as staging.NAME" in here.refused(*LOCAL, MLFLOW_REGISTERED_MODEL_NAME=f"dev.{'x' * 248}")
    for few in (("--limit-train", "1"), ("--batch-size", "1")):
        assert "needs at least 2 images per worker" in here.refused(*LOCAL, "--model", "resnet18", *few)
    assert command.runs() == []


def test_finished_run_is_not_resumed(there: Here, trained: Trained) -> None:
    assert "is FINISHED" in there.refused("train", "--resume", trained.result["run_id"])
    assert trained.command.only_run().info.status == "FINISHED"


def test_foreign_run_is_not_resumed(here: Here, command: Command) -> None:
    run_id = command.client.create_run(command.client.create_experiment("theirs")).info.run_id
    assert "it was not begun by fmnist train" in here.refused("train", "--resume", run_id)
    assert command.only_run().info.status == "RUNNING"


def test_run_of_another_active_process_is_not_resumed(here: Here, command: Command) -> None:
    experiment = command.client.create_experiment("theirs")
    run_id = command.client.create_run(experiment, tags={"compute": "local"}).info.run_id
    with RunLock(command.home / "checkpoints")(run_id):
        assert f"another process is at work on run {run_id}" in here.refused("train", "--resume", run_id)
    assert "another process" not in here.refused("train", "--resume", run_id)
    assert command.only_run().info.status == "RUNNING"


def test_state_directory_that_cannot_be_written_is_named(here: Here, command: Command) -> None:
    file = command.home / "file"
    file.write_text("no directory")
    assert f"{file}/home" in here.refused(*LOCAL, code=1, FMNIST_HOME=f"{file}/home")


def test_missing_registry_is_named(here: Here, command: Command) -> None:
    line = here.refused(*LOCAL, code=1, DVC_REPO_URL=f"{command.home}/nowhere.git")
    assert f"{command.home}/nowhere.git" in line
    assert command.runs() == []


@pytest.mark.parametrize("arguments", [LOCAL, ("train", "--resume", RUN), ("predict", "--split", "test")])
def test_tracker_that_does_not_answer_times_out_soon(here: Here, arguments: tuple[str, ...]) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{closed.getsockname()[1]}"
        began = time.monotonic()
        line = here.refused(*arguments, code=1, MLFLOW_TRACKING_URI=address)
    assert address in line
    assert "check MLFLOW_TRACKING_URI, and that the server runs" in line
    assert time.monotonic() - began < 30


def test_missing_cluster_starts_no_run(here: Here, command: Command) -> None:
    line = here.refused("train", "--ray-address", "127.0.0.1:1", code=1, RAY_ADDRESS="127.0.0.1:2")
    assert line.startswith("no Ray cluster at 127.0.0.1:1: ")
    assert command.runs() == []


@pytest.mark.usefixtures("damaged_registry")
def test_damaged_split_fails_the_run_and_registers_nothing(here: Here, command: Command) -> None:
    assert "split 'train' at" in here.refused(*LOCAL, code=1)
    assert command.only_run().info.status == "FAILED"
    assert command.versions() == []


def test_diverging_run_fails_with_the_cause(here: Here, command: Command) -> None:
    line = here.refused("train", "--compute", "local", "--lr", "1e30", code=1)
    assert "the loss is not finite at epoch" in line
    assert "a learning rate of 1e+30 is most likely too high" in line
    assert command.only_run().info.status == "FAILED"
    assert command.versions() == []


def test_log_level_debug_shows_the_traceback(here: Here) -> None:
    code, _, err = here("train", "--preset", "quick", LOG_LEVEL="debug")
    assert code == 2
    assert "Traceback (most recent call last)" in err
    assert err.splitlines()[-1].startswith("error: preset 'quick'")
