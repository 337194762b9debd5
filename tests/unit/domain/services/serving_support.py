"""A store, a registry and a memory that a test controls, and the service over them."""

import threading
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from fmnist.adapters.memory.classifier import save_means
from fmnist.adapters.memory.model_store import MemoryModelStore
from fmnist.adapters.memory.registry import MemoryDataRegistry
from fmnist.adapters.memory.serving_memory import MemoryServingMemory
from fmnist.domain.model.data.dataset import DatasetVersion
from fmnist.domain.model.data.images import PIXELS
from fmnist.domain.model.data.normalization import Normalization
from fmnist.domain.model.errors import StoreUnavailable
from fmnist.domain.model.model import ModelInfo, ModelVersion
from fmnist.domain.services.serving.load import ModelSources, NormalizationCheck
from fmnist.domain.services.serving.reload import ModelServing
from fmnist.ports.model_store import Classifier, ModelPackage, TrainedWeights
from fmnist.ports.serving_memory import KeptModel
from fmnist.testing.data import toy_splits

NAME = "prod.served"
CHAMPION = f"models:/{NAME}@champion"
GONE = StoreUnavailable("nobody answers")


class Gate:
    """A gate for calls of a fake: open, failing with an error, or closed until a test opens it."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.error: Exception | None = None
        self.entered = threading.Event()
        self._open = threading.Event()
        self._open.set()

    def close(self) -> None:
        self.entered.clear()
        self._open.clear()

    def open(self) -> None:
        self._open.set()

    def passing(self, call: str) -> None:
        self.calls.append(call)
        self.entered.set()
        assert self._open.wait(30), f"nobody opened the gate for {call}"
        if self.error is not None:
            raise self.error


class Store(MemoryModelStore):
    def __init__(self) -> None:
        super().__init__()
        self.lookups, self.downloads = Gate(), Gate()

    def resolve(self, uri: str) -> ModelVersion:
        if "@" in uri:
            self.lookups.passing(uri)
        return super().resolve(uri)

    def versions(self, name: str) -> list[ModelVersion]:
        self.lookups.passing(name)
        return super().versions(name)

    def download(self, version: ModelVersion) -> ModelPackage:
        self.downloads.passing(version.uri)
        return super().download(version)


class Registry(MemoryDataRegistry):
    def __init__(self) -> None:
        super().__init__()
        self.gate = Gate()

    def resolve(self, version: str | None = None) -> DatasetVersion:
        self.gate.passing(str(version))
        return super().resolve(version)


class Memory(MemoryServingMemory):
    def __init__(self) -> None:
        self.now = self.load_seconds = 0.0
        super().__init__(clock=lambda: self.now)
        self.gate, self.remembering = Gate(), Gate()

    def forget(self) -> None:
        """Forget everything, like an actor that is restarted."""
        super().__init__(clock=lambda: self.now)

    def expect(self, desired: str) -> None:
        self.gate.passing("expect")
        super().expect(desired)

    def pinned(self, desired: str, max_age: float | None = None) -> str | None:
        self.gate.passing("pinned")
        return super().pinned(desired, max_age)

    def pin(self, desired: str, uri: str) -> None:
        self.gate.passing("pin")
        super().pin(desired, uri)

    def remember(self, model: KeptModel) -> None:
        self.gate.passing("remember")
        self.remembering.passing(model.uri)
        super().remember(model)

    def last_good_id(self) -> tuple[str, bool] | None:
        self.gate.passing("last_good_id")
        return super().last_good_id()

    def last_good_uri(self) -> str | None:
        kept = super().last_good_id()
        return None if kept is None else kept[0]

    def last_good(self, uri: str | None = None) -> KeptModel | None:
        self.gate.passing("last_good")
        kept = super().last_good(uri)
        if kept is None or not self.load_seconds:
            return kept
        slow = replace(kept.package(), factory=partial(_load, kept.package(), self.load_seconds))
        return KeptModel.of(slow, compared=kept.compared)


def _load(package: ModelPackage, seconds: float) -> Classifier:
    threading.Event().wait(seconds)
    return package.load()


class Deployment:
    """The environment of a deployment's replicas. `add` makes good models of data version 1.0.0."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.store, self.registry, self.memory = Store(), Registry(), Memory()
        self.normalization = self.registry.add("1.0.0", toy_splits()).normalization
        self.reloads: list[tuple[str, str | None]] = []

    def add(self, *aliases: str, spoilt: bool = False, mean: float = 0.0, **changes: Any) -> str:
        """Register the next version with these aliases, and return its URI. `changes` apply to its `ModelInfo`."""
        weights = self._folder / "weights.npz"
        save_means(weights, np.full((10, PIXELS), mean, np.float32))
        info = ModelInfo(
            architecture="cnn",
            normalization=self.normalization,
            class_names=tuple("abcdefghij"),
            lineage={"dvc_data_version": "fashion-mnist-v1.0.0"},
            metrics={},
        )
        golden = np.zeros((1, 28, 28), np.uint8)
        version = self.store.save("0" * 32, NAME, TrainedWeights("cnn", str(weights)), replace(info, **changes), golden)
        if spoilt:
            self.store.spoil(version)
        for alias in aliases:
            self.store.label(version, alias=alias)
        return version.uri

    def keep(self, uri: str, *, compared: bool = True) -> None:
        """Keep the version in the memory, as if it had served."""
        package = MemoryModelStore.download(self.store, self.store.resolve(uri))
        self.memory.remember(KeptModel.of(package, compared=compared))

    def move(self, alias: str, uri: str) -> None:
        self.store.label(MemoryModelStore.resolve(self.store, uri), alias=alias)

    def replica(
        self, normalization: NormalizationCheck = "recorded", patience: float = 30.0, *, role: str | None = None
    ) -> ModelServing:
        sources = ModelSources(
            store=self.store,
            registry=self.registry,
            memory=self.memory,
            model_name=NAME,
            normalization=normalization,
            patience=patience,
        )
        return ModelServing(sources, lambda uri, error: self.reloads.append((uri, error)), role=role)

    def other_normalization(self) -> Normalization:
        return Normalization(self.normalization.mean, self.normalization.std / 2)


def served(replica: ModelServing) -> str | None:
    return None if replica.current is None else replica.current.version.uri
