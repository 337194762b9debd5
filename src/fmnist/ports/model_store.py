"""Trained models: saved with all it takes to serve them, registered by name and version, loaded as classifiers."""

from abc import abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from fmnist.domain.model.data.images import Images
from fmnist.domain.model.errors import CorruptModel
from fmnist.domain.model.model import ModelInfo, ModelVersion
from fmnist.domain.model.training.recipe import Architecture


class Classifier(Protocol):
    """A network that is ready to answer, and what its artifact says of it."""

    @property
    @abstractmethod
    def info(self) -> ModelInfo:
        """Architecture, normalization, class names, lineage and metrics."""

    @abstractmethod
    def logits(self, inputs: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Return logits (n, classes) for normalized inputs (n, 1, 28, 28), n >= 1. Safe to call from many threads."""


ClassifierFactory = Callable[[], Classifier]
"""Loads a classifier where it is called; picklable for every real adapter, so that it can travel to a worker."""


@dataclass(frozen=True, slots=True)
class TrainedWeights:
    """The chosen weights of a run, before they are a model of the store.

    Attributes:
        path: of the file that holds them.
        temperature: the network's outputs are divided by it, and are the model's logits then.
    """

    architecture: Architecture
    path: str
    temperature: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelPackage:
    """A model as it left the store, with all it takes to load it when the store is gone. Picklable.

    Attributes:
        version: what it was registered as.
        uuid: the store's own id of the artifact; copies of a version share it.
        signature: its input and output tensors as the store describes them, of JSON types alone.
        created: when training registered the artifact, in seconds since 1970 (UTC).
        factory: makes the classifier from what the package holds.
    """

    version: ModelVersion
    uuid: str
    signature: Mapping[str, Any]
    created: float
    factory: ClassifierFactory

    def load(self) -> Classifier:
        """Make the classifier.

        Raises:
            CorruptModel: a part is damaged, or it does not replay its golden batch.
        """
        try:
            return self.factory()
        except CorruptModel as error:
            raise CorruptModel(f"{self.version.uri}: {error}") from error


class ModelStore(Protocol):
    """Keeps models. A model URI is `models:/NAME/VERSION` or `models:/NAME@ALIAS`. Every method raises
    `StoreUnavailable` when the store does not answer, and `ModelNotFound` for a name, version or alias that is not
    there.

    What a promotion may rely on: a copy appears with its tags or not at all, an alias points at one version at every
    instant, and what was written is read back by the next call. What it may not: nothing compares before it sets, and
    nothing is one transaction over two aliases or two tags. Whoever needs that has to write in an order that is safe
    to break off anywhere, and to keep others out meanwhile.
    """

    @abstractmethod
    def save(
        self,
        run_id: str,
        name: str,
        weights: TrainedWeights,
        info: ModelInfo,
        golden: Images,
        *,
        card: str | None = None,
    ) -> ModelVersion:
        """Store the model in the run and register it as the next version of `name`, tagged with its lineage.

        `golden` are images uint8 (n, 28, 28); the answers that the saved model gives for them are stored with it, and
        replayed when it is loaded. `card` is what a person should know of the model, in Markdown: it is stored
        with the model, and shown with the version and its copies.

        Raises:
            CorruptModel: the saved forms of the model do not agree with each other.
        """

    @abstractmethod
    def download(self, version: ModelVersion) -> ModelPackage:
        """Fetch what it takes to load the version.

        Raises:
            CorruptModel: the artifact lacks a part. That it replays its golden batch is seen when it is loaded.
        """

    @abstractmethod
    def resolve(self, uri: str) -> ModelVersion:
        """Return the version that `uri` stands for now."""

    @abstractmethod
    def versions(self, name: str) -> list[ModelVersion]:
        """Return all versions of `name`, newest first; an empty list when nothing is registered under it."""

    @abstractmethod
    def copy(self, source: ModelVersion, name: str, tags: Mapping[str, str] | None = None) -> ModelVersion:
        """Register the same model as the next version of another name; run id and tags come along, aliases do not.

        `tags` overrule those of the source, and are set in the same write that makes the copy.
        """

    @abstractmethod
    def label(self, version: ModelVersion, *, alias: str | None = None, tags: Mapping[str, str] | None = None) -> None:
        """Point `alias` at the version, away from any other, and set tags on it."""
