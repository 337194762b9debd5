"""Trained models: saved with everything to serve them, registered by name and version, loaded as classifiers."""

from abc import abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from fmnist.domain.model.data.images import Images
from fmnist.domain.model.errors import CorruptModel
from fmnist.domain.model.model import ModelInfo, ModelVersion
from fmnist.domain.model.traffic.sketch import Sketch
from fmnist.domain.model.training.recipe import Architecture


class Classifier(Protocol):
    """A loaded network, and the information in its artifact."""

    @property
    @abstractmethod
    def info(self) -> ModelInfo:
        """Architecture, normalization, class names, lineage and metrics."""

    @abstractmethod
    def logits(self, inputs: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Return logits (n, classes) for normalized inputs (n, 1, 28, 28), n >= 1. Safe to call from many threads."""


ClassifierFactory = Callable[[], Classifier]
"""Loads a classifier where it is called. Every real adapter's factory is picklable, so a worker can receive it."""


@dataclass(frozen=True, slots=True)
class TrainedWeights:
    """The chosen weights of a run, before the store saves them as a model.

    Attributes:
        path: path of the file with the weights.
        temperature: divisor of the network's outputs; the results are the model's logits.
    """

    architecture: Architecture
    path: str
    temperature: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelPackage:
    """A downloaded model, with everything to load it when the store is unavailable. Picklable.

    Attributes:
        uuid: the store's own id of the artifact; copies of a version share it.
        signature: input and output tensors as the store describes them, in JSON types only.
        created: when training registered the artifact, in seconds since 1970 (UTC).
        factory: makes the classifier from the content of the package.
        reference: sketch of the model's `val` split; None for models of earlier releases.
        card: the model card in Markdown; None for a model without one.
        golden: images uint8 (n, 28, 28) of `val`, which were saved with the model.
    """

    version: ModelVersion
    uuid: str
    signature: Mapping[str, Any]
    created: float
    factory: ClassifierFactory
    reference: Sketch | None = None
    card: str | None = None
    # Not compared, because arrays have no single answer. The factory has the same images.
    golden: Images | None = field(default=None, compare=False)

    def load(self) -> Classifier:
        """Make the classifier.

        Raises:
            CorruptModel: a part is damaged, or the answers for the golden batch differ from the recorded ones.
        """
        try:
            return self.factory()
        except CorruptModel as error:
            raise CorruptModel(f"{self.version.uri}: {error}") from error


class ModelStore(Protocol):
    """Keeps models. A model URI is `models:/NAME/VERSION` or `models:/NAME@ALIAS`. Every method raises
    `StoreUnavailable` if the store does not answer, and `ModelNotFound` if a name, version or alias does not exist.

    A store guarantees three things. A copy appears with its tags or not at all. An alias points at one version at any
    time. The next call reads what was written. A store does not guarantee a compare-and-set, nor a transaction over two
    aliases or two tags. A caller that needs those must keep other writers out, and write in an order that is safe to
    interrupt.
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
        reference: Sketch | None = None,
        card: str | None = None,
    ) -> ModelVersion:
        """Store the model in the run and register it as the next version of `name`, tagged with its lineage.

        `golden` are images uint8 (n, 28, 28). The saved model's answers for them are stored with it, and compared when
        it is loaded. `reference` is a sketch of its `val` split. `card` is the model card in Markdown. It is stored
        with the model, and shown with the version and its copies.

        Raises:
            CorruptModel: the saved forms of the model give different answers.
        """

    @abstractmethod
    def download(self, version: ModelVersion) -> ModelPackage:
        """Fetch everything to load the version.

        Raises:
            CorruptModel: the artifact lacks a part. The golden batch is only checked when the model is loaded.
        """

    @abstractmethod
    def resolve(self, uri: str) -> ModelVersion:
        """Return the version that `uri` means now."""

    @abstractmethod
    def versions(self, name: str) -> list[ModelVersion]:
        """Return all versions of `name`, newest first; an empty list if there are none."""

    @abstractmethod
    def copy(self, source: ModelVersion, name: str, tags: Mapping[str, str] | None = None) -> ModelVersion:
        """Register the same model as the next version of another name, with its run id and tags but no aliases.

        `tags` override those of the source, and are set in the same write that makes the copy.
        """

    @abstractmethod
    def label(self, version: ModelVersion, *, alias: str | None = None, tags: Mapping[str, str] | None = None) -> None:
        """Move `alias` to the version, and set tags on it."""
