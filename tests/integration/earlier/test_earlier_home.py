"""State of an earlier version still works: its data, models, promotion and interrupted runs."""

from pathlib import Path

import numpy as np
import pytest

from fmnist.adapters.dvc.registry import DvcDataRegistry
from fmnist.adapters.dvc.settings import RegistrySettings
from fmnist.adapters.memory.serving_memory import MemoryServingMemory
from fmnist.adapters.mlflow.connection import MlflowConnection
from fmnist.adapters.mlflow.downloading import TORCH_FORM, download_artifact
from fmnist.adapters.mlflow.model_store import MlflowModelStore
from fmnist.adapters.mlflow.packed import PackedNetwork
from fmnist.domain.model.address import Address
from fmnist.domain.services.prediction import Prediction
from fmnist.domain.services.serving.load import ModelSources
from fmnist.domain.services.serving.reload import ModelServing
from fmnist.testing.data import toy_images
from tests.integration.apps.command import Command
from tests.integration.apps.here import Here
from tests.integration.earlier.home import EarlierHome, unpack

NAME = "fashion-mnist-classifier"
IMAGES = toy_images(20, seed=99)


@pytest.fixture(scope="module")
def earlier(tmp_path_factory: pytest.TempPathFactory) -> EarlierHome:
    """One copy for all tests of this file. Each of them uses another part of it."""
    return unpack(tmp_path_factory.mktemp("earlier") / "home")


@pytest.fixture
def registry(earlier: EarlierHome) -> RegistrySettings:
    return RegistrySettings(
        repo=Address(str(earlier.path / "data-registry.git")), remote_url=str(earlier.path / "data-store")
    )


@pytest.fixture
def connection(earlier: EarlierHome) -> MlflowConnection:
    return MlflowConnection(Address(f"sqlite:///{earlier.path}/mlflow.db"))


@pytest.fixture
def command(earlier: EarlierHome, registry: RegistrySettings) -> Command:
    return Command(earlier.path, registry)


def test_earlier_data_version_is_read_completely(command: Command) -> None:
    Here(command).told("data", "verify", "1.0.0")


@pytest.mark.parametrize("model", [f"models:/dev.{NAME}/2", f"models:/prod.{NAME}@champion"])
def test_earlier_model_is_served_with_the_normalization_of_its_data(
    connection: MlflowConnection, registry: RegistrySettings, model: str
) -> None:
    sources = ModelSources(
        store=MlflowModelStore(connection),
        registry=DvcDataRegistry(registry),
        memory=MemoryServingMemory(),
        model_name=f"dev.{NAME}",
        normalization="strict",
    )
    serving = ModelServing(sources)
    serving.deploy(model)
    assert serving.status.reload_error is None
    assert serving.current is not None
    assert serving.current.degraded is None
    answers = serving.current.prediction.probabilities(IMAGES.images).argmax(axis=1)
    assert np.array_equal(answers, IMAGES.labels)


def test_torch_form_of_an_earlier_model_loads(connection: MlflowConnection, tmp_path: Path) -> None:
    classifier = PackedNetwork.read(download_artifact(connection, f"dev.{NAME}", 1, tmp_path, TORCH_FORM))()
    assert np.array_equal(Prediction(classifier).probabilities(IMAGES.images).argmax(axis=1), IMAGES.labels)


def test_release_requires_a_new_test_and_approval_if_the_old_ones_name_no_champion(
    command: Command, earlier: EarlierHome
) -> None:
    policy = ("--policy", "policy.toml")
    here = Here(command)
    refused = here.refused("promote", "release", "--approval", "manual")
    why = "names no champion, because an earlier version of fmnist recorded it"
    assert f"has no valid test: its test {why}; has no valid approval: its approval" in refused
    assert f"its approval by earlier {why}; run fmnist promote test; run fmnist promote approve" in refused
    here.json("promote", "test", *policy)
    here.json("promote", "approve", "--by", "later", "--reason", "tested again")
    here.json("promote", "release", "--approval", "manual")
    runs = {standing["role"]: standing["run"] for standing in here.json("promote", "status")}
    assert runs["champion"] == earlier.runs["staged"]
    assert runs["previous"] == earlier.runs["released"]


@pytest.mark.parametrize("compute", ["local", pytest.param("ray", marks=pytest.mark.soak)])
def test_earlier_interrupted_run_is_resumed_to_its_end(command: Command, earlier: EarlierHome, compute: str) -> None:
    run_id = earlier.runs[f"interrupted-{compute}"]
    result = command.json("train", "--resume", run_id)
    assert result["run_id"] == run_id
    assert [step for step, _ in command.history(run_id, "train_loss")] == [0, 1, 2]
