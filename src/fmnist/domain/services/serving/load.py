"""One attempt to load a model for serving: find it, load it, compare it with its training data, and warm it up.

It does not decide which model serves: a failed check is an error. The replicas share a memory, which saves requests to
the store and keeps the replicas in agreement. No model depends on that memory.
"""

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, ParamSpec, TypeVar

import numpy as np

from fmnist.domain.model.data.data_version import full_tag
from fmnist.domain.model.data.images import SIDE
from fmnist.domain.model.errors import CorruptModel, FmnistError, StoreUnavailable
from fmnist.domain.model.model import ModelInfo, ModelUri, ModelVersion
from fmnist.domain.services.bounded_calls import BoundedCalls
from fmnist.domain.services.find_version import find_version
from fmnist.domain.services.prediction import Prediction
from fmnist.ports.data_registry import DataRegistry
from fmnist.ports.model_store import Classifier, ModelPackage, ModelStore
from fmnist.ports.serving_memory import KeptModel, ServingMemory

NormalizationCheck = Literal["strict", "recorded"]
"""What to do if a model's normalization cannot be compared with the data registry's. `strict` refuses the model.
`recorded` serves it with the normalization that its run recorded. Both refuse a model whose normalization differs."""

_WARM_UP_BATCHES = (1, 32)
# Shares of the patience: if the registry or the memory hangs, time must be left to serve without it.
_REGISTRY_SHARE = 0.5
_MEMORY_SHARE = 0.25
_LONGEST_REASON = 500

_P = ParamSpec("_P")
_T = TypeVar("_T")
logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ServedModel:
    """One loaded, checked and warm model. A request must read it only once, so that one model answers all of it.

    Attributes:
        package: the package it was loaded from.
        degraded: why its normalization could not be compared with the data registry's; None if they agree. If a late
            comparison finds a difference, it says how they differ.
        since: when it was ready to serve in this process, in seconds since 1970 (UTC).
    """

    package: ModelPackage
    prediction: Prediction
    degraded: str | None
    since: float = field(default_factory=time.time)

    @property
    def version(self) -> ModelVersion:
        """The registered version of the model."""
        return self.package.version

    @property
    def uuid(self) -> str:
        """The store's own id of the artifact."""
        return self.package.uuid

    @property
    def signature(self) -> Mapping[str, Any]:
        """The input and output tensors, as the store describes them."""
        return self.package.signature

    @property
    def created(self) -> float:
        """When training registered the artifact, in seconds since 1970 (UTC)."""
        return self.package.created


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSources:
    """Where a replica gets its models from.

    Attributes:
        model_name: the registered model whose newest version serves if no other model is desired.
        normalization: what to do if a model's normalization cannot be compared with the data registry's.
        patience: seconds that an attempt waits for store and registry.
    """

    store: ModelStore
    registry: DataRegistry
    memory: ServingMemory
    model_name: str
    normalization: NormalizationCheck = "recorded"
    patience: float = 120.0
    calls: BoundedCalls = field(default_factory=BoundedCalls)


class Attempt:
    """One attempt to serve the model at `uri`, or the newest version for None. Its steps share one time limit.

    The replicas' pin of an alias is valid for `max_age` seconds, or without limit for None. After the memory fails it
    is not asked again, because each question may take long. Its answers then are None.
    """

    def __init__(self, sources: ModelSources, uri: str | None, max_age: float | None = None) -> None:
        self.uri = uri
        self.desired = f"newest version of {sources.model_name}" if uri is None else uri
        self.max_age = max_age
        self.started = time.monotonic()
        self._deadline = self.started + sources.patience
        self._sources = sources
        self._memory = sources.memory
        self._memory_failed = False

    def announce(self) -> bool:
        """Make the memory forget the pin of any other model. Return whether it did."""
        self._ask(self._memory.expect, self.desired)
        return not self._memory_failed

    def pinned(self) -> str | None:
        """Return the URI of the version that the replicas agreed on, if the pin is recent enough."""
        return self._ask(self._memory.pinned, self.desired, self.max_age)

    def pin(self, uri: str) -> None:
        """Make the replicas agree on this version."""
        self._ask(self._memory.pin, self.desired, uri)

    def resolve(self) -> str:
        """Return the URI of the desired version. Only an alias or the newest version needs the store.

        Raises:
            InvalidSetting: it is not a model URI.
            ModelNotFound: the alias does not exist, or there is no version yet.
            StoreUnavailable: the store does not answer in time.
        """
        if self.uri is not None and ModelUri.parse(self.uri).version is not None:
            return self.uri
        store, name = self._sources.store, self._sources.model_name
        return self._bounded(self.desired, lambda: find_version(store, name, self.uri)).uri

    def load(self, uri: str) -> ServedModel:
        """Load and check a version, from the memory if it keeps that version, else from the store.

        Raises:
            CorruptModel: it does not load, or its answers or its normalization differ from those recorded.
            StoreUnavailable: a step took too long, or the normalization cannot be compared and the check is strict.
            FmnistError: any other error of the store.
        """
        if (kept := self._ask(self._kept, uri)) is not None:
            return self._load_kept(*kept)
        store = self._sources.store
        return self._load(
            f"{uri} from the model store", lambda: store.download(store.resolve(uri)), self._sources.normalization
        )

    def last_good(self) -> ServedModel | None:
        """Load the model that served last in any replica; None if there is none, or it no longer loads."""
        if (kept := self._ask(self._kept)) is None:
            return None
        # The store may have used up the time of the attempt.
        self._deadline = time.monotonic() + self._sources.patience
        try:
            return self._load_kept(*kept)
        except Exception as error:  # noqa: BLE001 - a kept model may raise anything
            logger.warning("%s served last, but does not load now: %s", kept[0].version.uri, short_reason(error))
            return None

    def compare(self, uri: str, info: ModelInfo, check: NormalizationCheck = "recorded") -> str | None:
        """Compare the recorded normalization with the registry's. Return why that was impossible, or None.

        Raises:
            CorruptModel: they differ.
            StoreUnavailable: they cannot be compared, and `check` is strict.
        """
        registry = self._sources.registry
        try:
            # Requires a full version, because the registry accepts several other words as the newest version.
            data = full_tag(info.data_version or "")
            expected = self._bounded(f"{data} of the data registry", lambda: registry.resolve(data), _REGISTRY_SHARE)
        except FmnistError as error:
            reason = f"the normalization of {uri} could not be compared with the data registry's: {error}"
            if check == "strict":
                raise StoreUnavailable(reason) from error
            return reason
        if not expected.normalization.agrees_with(info.normalization):
            raise CorruptModel(f"{uri} has {info.normalization}, but data version {data} has {expected.normalization}")
        return None

    def share(self, model: ServedModel, *, is_desired: bool) -> None:
        """Give the serving model to the other replicas, if it is new to them or their memory lost it."""
        uri, compared = model.version.uri, model.degraded is None
        kept = self._ask(self._memory.last_good_id)
        if kept is not None and kept[0] == uri:
            is_news = compared and not kept[1]
        else:
            # A replica that does not know the last deploy yet must not overwrite its result.
            is_news = kept is None or (is_desired and self._ask(self._memory.pinned, self.desired) == uri)
        if is_news and not self._memory_failed:
            # Pickled inside `_ask`, so that a package that cannot be pickled does not fail the attempt.
            self._ask(lambda: self._memory.remember(KeptModel.of(model.package, compared=compared)))
        if kept is None and is_desired:
            self.pin(uri)

    def _kept(self, uri: str | None = None) -> tuple[ModelPackage, NormalizationCheck] | None:
        if (kept := self._memory.last_good(uri)) is None:
            return None
        # A model that was compared once needs no registry again, even with the strict check.
        return kept.package(), "recorded" if kept.compared else self._sources.normalization

    def _load_kept(self, package: ModelPackage, check: NormalizationCheck) -> ServedModel:
        return self._load(f"{package.version.uri} from the serving memory", lambda: package, check)

    def _load(self, what: str, fetch: Callable[[], ModelPackage], check: NormalizationCheck) -> ServedModel:
        def fetch_and_load() -> tuple[ModelPackage, Classifier]:
            package = fetch()
            return package, package.load()

        # One call, so that a version is not downloaded again while its loading hangs.
        package, classifier = self._bounded(what, fetch_and_load)
        uri, prediction = package.version.uri, Prediction(classifier)
        degraded = self.compare(uri, classifier.info, check)
        self._bounded(f"warm-up of {uri}", lambda: _warm_up(uri, prediction))
        return ServedModel(package, prediction, degraded)

    def _bounded(self, what: str, call: Callable[[], _T], share: float = 1.0) -> _T:
        return self._sources.calls.run(what, call, share * (self._deadline - time.monotonic()))

    def _ask(self, question: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> _T | None:
        if self._memory_failed:
            return None
        seconds = _MEMORY_SHARE * self._sources.patience
        try:
            return self._sources.calls.run("the serving memory", lambda: question(*args, **kwargs), seconds)
        except Exception as error:  # noqa: BLE001 - the memory may hold data of another release
            self._memory_failed = True
            logger.warning("continuing without the memory that the replicas share: %s", short_reason(error))
            return None


def _warm_up(uri: str, prediction: Prediction) -> None:
    """Classify blank images, so that no request waits for the runtime's allocations, and check the answers."""
    for count in _WARM_UP_BATCHES:
        found = prediction.probabilities(np.zeros((count, SIDE, SIDE), np.uint8))
        expected = (count, len(prediction.info.class_names))
        if found.shape != expected or not np.isfinite(found).all():
            raise CorruptModel(
                f"{uri} gives probabilities of shape {found.shape} for {count} blank images, the largest "
                f"{found.max(initial=0)}: expected finite probabilities of shape {expected}"
            )


def short_reason(error: Exception) -> str:
    """Return the error in one line of limited length, with its type if it is not an `FmnistError`."""
    text = " ".join(str(error).split())
    return (text if isinstance(error, FmnistError) else f"{type(error).__name__}: {text}")[:_LONGEST_REASON]
