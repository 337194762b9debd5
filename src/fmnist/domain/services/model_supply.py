"""Where a replica gets its models from: the memory that it shares with the others first, the store else.

The memory spares the store and keeps the replicas in agreement, but no model ever has to wait for it.
"""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from fmnist.domain.model.errors import FmnistError, ModelNotFound
from fmnist.domain.model.registry import ModelUri, ModelVersion
from fmnist.domain.services.bounded_calls import BoundedCalls
from fmnist.domain.services.model_loading import CheckedModel, ModelLoading, NormalizationCheck
from fmnist.ports.data_registry import DataRegistry
from fmnist.ports.model_store import ModelPackage, ModelStore
from fmnist.ports.serving_memory import ServingMemory

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
        deadline: of `time.monotonic`.
        target: what it is about: the desired, then the version that this turned out to be.
        superseded: a newer attempt has begun, and this one may not change anything any more.
        swapped: it brought a model into service.
        memory_failed: the memory did not answer, so that it is not asked again: each question may take a while.
    """

    desired: str | None
    name: str
    max_age: float | None
    deadline: float
    target: str
    superseded: bool = False
    swapped: bool = False
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
        self._calls = BoundedCalls()
        self._loading = ModelLoading(registry, self._calls)

    def attempt(self, desired: str | None, max_age: float | None) -> Attempt:
        """Begin an attempt."""
        name = f"newest version of {self._model_name}" if desired is None else desired
        return Attempt(desired, name, max_age, time.monotonic() + self._patience, target=name)

    def look_up(self, attempt: Attempt) -> str:
        """Return the URI of the version that is desired, which all replicas agree on.

        Raises:
            InvalidSetting: what is desired is no model URI.
            ModelNotFound: there is no such version or alias.
            StoreUnavailable: the store does not answer in time.
        """
        desired = attempt.desired
        if desired is not None and ModelUri.parse(desired).version is not None:
            return desired
        pinned = self._ask_memory(attempt, lambda: self._memory.pinned(attempt.name, attempt.max_age))
        if pinned is not None:
            return pinned
        found = self._calls.run(attempt.name, lambda: self._resolve(desired), attempt.deadline - time.monotonic())
        if not attempt.superseded:
            self._ask_memory(attempt, lambda: self._memory.pin(attempt.name, found.uri))
        return found.uri

    def load(self, attempt: Attempt, uri: str) -> CheckedModel:
        """Load a version; raises as `ModelLoading.load` and `ModelStore.download` do."""
        if self._ask_memory(attempt, self._memory.last_good_uri) == uri:
            kept = self._ask_memory(attempt, self._memory.last_good)
            if kept is not None and kept.version.uri == uri:
                return self._load_kept(kept, attempt.deadline)
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
            return self._load_kept(kept, time.monotonic() + self._patience)
        except Exception as error:  # noqa: BLE001 - as for any other model
            logger.warning("%s served last, and does not load now: %s", kept.version.uri, one_line(error))
            return None

    def share(self, attempt: Attempt, package: ModelPackage, *, is_desired: bool) -> None:
        """Leave the model that serves to the other replicas, when it is new to them or their memory lost it."""
        kept = self._ask_memory(attempt, self._memory.last_good_uri)
        if attempt.superseded or not (kept is None or (attempt.swapped and kept != package.version.uri)):
            return
        self._ask_memory(attempt, lambda: self._memory.remember(package))
        if is_desired:
            self._ask_memory(attempt, lambda: self._memory.pin(attempt.name, package.version.uri))

    def _resolve(self, desired: str | None) -> ModelVersion:
        if desired is not None:
            return self._store.resolve(desired)
        versions = self._store.versions(self._model_name)
        if not versions:
            raise ModelNotFound(f"no version of {self._model_name} is registered: train one first, or name another")
        return versions[0]

    def _load_kept(self, kept: ModelPackage, deadline: float) -> CheckedModel:
        # Whoever put it there compared its normalization as strictly as is asked for.
        return self._loading.load(f"{kept.version.uri} as it served last", lambda: kept, "recorded", deadline)

    def _ask_memory(self, attempt: Attempt, question: Callable[[], _T]) -> _T | None:
        """Return the memory's answer, or None when there is none."""
        if attempt.memory_failed:
            return None
        try:
            return self._calls.run("the serving memory", question, self._patience * _MEMORY_SHARE)
        except Exception as error:  # noqa: BLE001 - what it kept may be of another release, too
            attempt.memory_failed = True
            logger.warning("going on without what the replicas have in common: %s", one_line(error))
            return None


def one_line(error: Exception) -> str:
    """Say what went wrong in one line that is not too long; the type only of what nobody foresaw."""
    text = " ".join(str(error).split())
    return (text if isinstance(error, FmnistError) else f"{type(error).__name__}: {text}")[:_LONGEST_REASON]
