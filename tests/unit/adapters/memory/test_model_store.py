from pathlib import Path

import numpy as np
import pytest

from fmnist.adapters.memory.classifier import load_means, save_means
from fmnist.adapters.memory.model_store import MemoryModelStore
from fmnist.domain.model.errors import CorruptModel
from fmnist.domain.model.model import ModelVersion
from fmnist.ports.model_store import TrainedWeights
from fmnist.testing.contracts.model_store import ModelStoreContract


class TestMemoryModelStore(ModelStoreContract):
    @pytest.fixture(scope="class")
    @classmethod
    def store(cls) -> MemoryModelStore:
        return MemoryModelStore()

    @pytest.fixture(scope="class")
    @classmethod
    def run_id(cls) -> str:
        return "0" * 32

    @pytest.fixture(scope="class")
    @classmethod
    def weights(cls, tmp_path_factory: pytest.TempPathFactory) -> TrainedWeights:
        path = tmp_path_factory.mktemp("weights") / "means.npz"
        save_means(path, np.random.default_rng(1).normal(size=(10, 784)).astype(np.float32))
        return TrainedWeights("cnn", str(path))

    @pytest.fixture
    def damaged(self, store: MemoryModelStore, saved: ModelVersion) -> ModelVersion:
        version = store.copy(saved, "dev.damaged")
        store.spoil(version)
        return version

    def test_nearest_class_mean_wins(
        self, store: MemoryModelStore, saved: ModelVersion, weights: TrainedWeights
    ) -> None:
        classifier = store.download(saved).load()
        means = load_means(weights.path)
        assert classifier.logits(means.reshape(-1, 1, 28, 28)).argmax(axis=1).tolist() == list(range(10))


@pytest.mark.parametrize("content", [b"", b"no archive", b"PK\x05\x06" + b"\0" * 18])
def test_file_without_means_is_refused_by_name(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "weights.npz"
    path.write_bytes(content)
    with pytest.raises(CorruptModel, match=r"weights\.npz"):
        load_means(path)


def test_means_of_another_shape_are_refused(tmp_path: Path) -> None:
    save_means(tmp_path / "weights.npz", np.zeros((3, 4), np.float32))
    with pytest.raises(CorruptModel, match=r"\(3, 4\)"):
        load_means(tmp_path / "weights.npz")
