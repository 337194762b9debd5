"""Where a replica gets its models from: the memory that it shares with the others first, the store else.

The memory spares the store and keeps the replicas in agreement, but no model ever has to wait for it.
"""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from fmnist.domain.model.errors import FmnistError
from fmnist.domain.model.registry import ModelInfo, ModelUri
from fmnist.domain.services.bounded_calls import BoundedCalls
from fmnist.domain.services.model_loading import CheckedModel, ModelLoading, NormalizationCheck
from fmnist.domain.services.wanted_model import wanted_model
from fmnist.ports.data_registry import DataRegistry
from fmnist.ports.model_store import ModelStore
from fmnist.ports.serving_memory import KeptModel, ServingMemory

logger = logging.getLogger(__name__)

_T = TypeVar("_T")
_MEMORY_SHARE = 0.25
_LONGEST_REASON = 500


@dataclass(slots=True, eq=False)
class Attempt:
    """One go at bringing what is desired into service.

    Attributes:
        desired: a model URI, or None for the newest version; `name` says it in words.
        max_age: seconds for which what an alias was found to stand for counts; None is for good.
        is_deploy: it was asked for, and does not only look again.
        deadline: of `time.monotonic`.
        target: what it is about: the desired, then the version that this turned out to be.
        superseded: a newer attempt has begun, and this one may not change anything any more.
        newly_compared: the model that the memory keeps was not compared when it was remembered, and is now.
        memory_failed: the memory did not answer, so that it is not asked again: each question may take a while.
    """

    desired: str | None
    name: str
    max_age: float | None
    is_deploy: bool
    deadline: float
    target: str
    superseded: bool = False
    newly_compared: bool = False
    memory_failed: bool = False
    started: float = field(default_factory=time.monotonic)


class ModelSupply:
    """Looks up, loads and hands on, each within what is left of an attempt's time."""

    def __init__(
        self,
        store: ModelStore,
        registry: DataRegistry,
        memory: ServingMemory,
        model_name: str,
        normalization: NormalizationCheck,
        patience: float,
    ) -> None:
        self._store = store
        self._memory = memory
        self._model_name = model_name
        self._normalization = normalization
        self._patience = patience
        self._announced: str | None = None
        self._calls = BoundedCalls()
        self._loading = ModelLoading(registry, self._calls)

    def attempt(self, desired: str | None, max_age: float | None = None, *, is_deploy: bool = False) -> Attempt:
        """Begin an attempt."""
        name = f"newest version of {self._model_name}" if desired is None else desired
        return Attempt(desired, name, max_age, is_deploy, time.monotonic() + self._patience, target=name)

    def announce(self, attempt: Attempt) -> None:
        """Have the memory forget what anything else was pinned to: at a deploy, and later if it did not answer then."""
        if attempt.is_deploy:
            self._announced = None
        if self._announced == attempt.name or attempt.superseded:
            return
        self._ask_memory(attempt, lambda: self._memory.expect(attempt.name))
        if not attempt.memory_failed:
            self._announced = attempt.name

    def agreed(self, attempt: Attempt) -> str | None:
        """Return the version that the replicas agreed on for what is desired, when they did so recently enough."""
        return self._ask_memory(attempt, lambda: self._memory.pinned(attempt.name, attempt.max_age))

    def look_up(self, attempt: Attempt) -> str:
        """Return the URI of the version that is desired, which all replicas agree on.

        Raises:
            InvalidSetting: what is desired is no model URI.
            ModelNotFound: there is no such version or alias.
            StoreUnavailable: the store does not answer in time.
        """
        desired = attempt.desired
        is_version = desired is not None and ModelUri.parse(desired).version is not None
        agreed = self.agreed(attempt)
        if agreed is not None:
            return agreed
        found = attempt.name if is_version else self._resolve(attempt)
        if not attempt.superseded:
            self._ask_memory(attempt, lambda: self._memory.pin(attempt.name, found))
        return found

    def load(self, attempt: Attempt, uri: str) -> CheckedModel:
        """Load a version; raises as `ModelLoading.load` and `ModelStore.download` do."""
        if self._ask_memory(attempt, self._memory.last_good_uri) == uri:
            kept = self._ask_memory(attempt, self._memory.last_good)
            if kept is not None and kept.package.version.uri == uri:
                return self._load_kept(attempt, kept, attempt.deadline)
        return self._loading.load(
            f"{uri} from the model store",
            lambda: self._store.download(self._store.resolve(uri)),
            self._normalization,
            attempt.deadline,
        )

    def last_good(self, attempt: Attempt) -> CheckedModel | None:
        """Load what served last in any replica; None when there is none, or it does not load any more."""
        kept = self._ask_memory(attempt, self._memory.last_good)
        if kept is None:
            return None
        try:
            # The store may have used up the attempt's own time.
            return self._load_kept(attempt, kept, time.monotonic() + self._patience)
        except Exception as error:  # noqa: BLE001 - as for any other model
            logger.warning("%s served last, and does not load now: %s", kept.package.version.uri, short_reason(error))
            return None

    def compare(self, attempt: Attempt, uri: str, info: ModelInfo) -> str | None:
        """Compare the normalization of a model that serves without that; return why it is impossible still, or None.

        Raises:
            CorruptModel: it normalizes otherwise than its data version says.
        """
        degraded = self._loading.compare(uri, info, "recorded", attempt.deadline)
        attempt.newly_compared = degraded is None
        return degraded

    def share(self, attempt: Attempt, model: KeptModel, *, is_desired: bool) -> None:
        """Leave the model that serves to the other replicas, when it is new to them or their memory lost it."""
        uri = model.package.version.uri
        kept = self._ask_memory(attempt, self._memory.last_good_uri)
        if attempt.superseded or attempt.memory_failed:
            return
        if kept == uri:
            is_news = attempt.newly_compared
        else:
            # Who has not heard of the last deploy yet must not overwrite what came of it.
            is_news = kept is None or (is_desired and self._is_pinned(attempt, uri))
        if is_news:
            self._ask_memory(attempt, lambda: self._memory.remember(model))
        if kept is None and is_desired:
            self._ask_memory(attempt, lambda: self._memory.pin(attempt.name, uri))

    def _is_pinned(self, attempt: Attempt, uri: str) -> bool:
        return self._ask_memory(attempt, lambda: self._memory.pinned(attempt.name)) == uri

    def _resolve(self, attempt: Attempt) -> str:
        seconds = attempt.deadline - time.monotonic()
        return self._calls.run(
            attempt.name, lambda: wanted_model(self._store, self._model_name, attempt.desired), seconds
        ).uri

    def _load_kept(self, attempt: Attempt, kept: KeptModel, deadline: float) -> CheckedModel:
        # What was compared once needs no registry any more, however strict one is.
        check = "recorded" if kept.compared else self._normalization
        what = f"{kept.package.version.uri} as it served last"
        model = self._loading.load(what, lambda: kept.package, check, deadline)
        attempt.newly_compared = not kept.compared and model.degraded is None
        return model

    def _ask_memory(self, attempt: Attempt, question: Callable[[], _T]) -> _T | None:
        """Return the memory's answer, or None when there is none."""
        if attempt.memory_failed:
            return None
        try:
            return self._calls.run("the serving memory", question, self._patience * _MEMORY_SHARE)
        except Exception as error:  # noqa: BLE001 - what it kept may be of another release, too
            attempt.memory_failed = True
            logger.warning("going on without what the replicas have in common: %s", short_reason(error))
            return None


def short_reason(error: Exception) -> str:
    """Say what went wrong in one line that is not too long; the type only of what nobody foresaw."""
    text = " ".join(str(error).split())
    return (text if isinstance(error, FmnistError) else f"{type(error).__name__}: {text}")[:_LONGEST_REASON]
