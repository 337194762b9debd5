"""Which model a replica answers with: desired, loaded, checked, warmed, and only then swapped in.

A reload that fails anywhere leaves the model that serves as it is. Nothing here knows of HTTP or of Ray.
"""

import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from fmnist.domain.model.errors import CorruptModel, FmnistError
from fmnist.domain.model.registry import ModelVersion
from fmnist.domain.services.model_loading import CheckedModel, NormalizationCheck
from fmnist.domain.services.model_supply import Attempt, ModelSupply, short_reason
from fmnist.domain.services.prediction import Prediction
from fmnist.ports.data_registry import DataRegistry
from fmnist.ports.model_store import ModelPackage, ModelStore
from fmnist.ports.serving_memory import KeptModel, ServingMemory

logger = logging.getLogger(__name__)

ReloadObserver = Callable[[str, str | None], None]
"""Told of each model that went into service, or should have: its URI, and why it did not, or None. Must not raise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServedModel:
    """One loaded, checked and warmed model; immutable, so that a request that reads it once is answered by it alone.

    Attributes:
        version: the registered version that it is.
        uuid, signature, created: as `ModelPackage` says.
        prediction: answers.
        degraded: why its normalization could not be compared with the data registry's, or how it differs, which came
            out only after it was in service; None when they agree.
    """

    version: ModelVersion
    uuid: str
    signature: Mapping[str, Any]
    created: float
    prediction: Prediction
    degraded: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ServingStatus:
    """What a replica was asked to serve, what it serves, and what went wrong in between.

    Attributes:
        desired: the model URI that was asked for, or `newest version of NAME`.
        served: the model that answers, or None until one does.
        reload_error: why what is desired is not what is served, or should not be, or None. One line, for a person.
    """

    desired: str
    served: ServedModel | None
    reload_error: str | None


class ModelServing:
    """Keeps one replica's model what it is desired to be. Safe to call from many threads; `deploy` and `poll` block.

    What the replicas of a deployment share is the memory: the first of them looks up what an alias stands for and
    downloads it, and the others take both from there, also when the store is down by then.

    Args:
        model_name: the registered model whose newest version serves when nothing else is desired.
        normalization: what to do when a model's normalization cannot be compared with the data registry's.
        patience: seconds that store and registry are waited for before an attempt is given up.
    """

    def __init__(
        self,
        store: ModelStore,
        registry: DataRegistry,
        memory: ServingMemory,
        *,
        model_name: str,
        normalization: NormalizationCheck = "recorded",
        patience: float = 120.0,
        observe: ReloadObserver = lambda _uri, _error: None,
    ) -> None:
        self._supply = ModelSupply(store, registry, memory, model_name, normalization, patience)
        self._observe = observe
        # Guards everything below: only the newest attempt may change what serves.
        self._lock = threading.Lock()
        self._running: Attempt | None = None
        self._deployed: Attempt | None = None
        # A version that is corrupt, which no time mends.
        self._refused: str | None = None
        # What is wrong with the model that serves, when that came out too late to refuse it.
        self._mismatch: str | None = None
        self._package: ModelPackage | None = None
        desired = self._supply.attempt(None).name
        self._status = ServingStatus(desired=desired, served=None, reload_error=None)

    @property
    def current(self) -> ServedModel | None:
        """The model that answers now, or None. A request reads it once; reading takes no lock."""
        return self._status.served

    @property
    def status(self) -> ServingStatus:
        """What is desired, what serves, and what went wrong, all of one moment."""
        return self._status

    def deploy(self, desired: str | None) -> None:
        """Bring `desired` into service: `models:/NAME/VERSION`, `models:/NAME@ALIAS`, or None for the newest version.

        How it went is in `status`, for nothing that is wrong with a URI, a model or a store is raised. A deploy that
        begins while another runs supersedes it.
        """
        attempt = self._supply.attempt(desired, is_deploy=True)
        with self._lock:
            if self._running is not None:
                self._running.superseded = True
            self._running = self._deployed = attempt
            self._refused = None
            self._status = replace(self._status, desired=attempt.name, reload_error=None)
        self._run(attempt, self._bring_into_service)

    def poll(self, max_age: float | None) -> None:
        """Try again what failed for a reason that time may mend, and follow an alias or the newest version.

        What one replica found counts for all of them until it is `max_age` seconds old; with None nothing is looked up
        again that was found once. A model that could not be compared with the data registry is compared as soon as
        that answers; one that turns out to be wrong goes on serving, with the reason in the status, for it is not
        known that anything better is at hand. The memory is given the model again when it has lost it.
        """
        with self._lock:
            if self._deployed is None or self._running is not None:
                return
            attempt = self._running = self._supply.attempt(self._deployed.desired, max_age)
        self._run(attempt, self._look_again)

    def _run(self, attempt: Attempt, work: Callable[[Attempt], None]) -> None:
        try:
            self._supply.announce(attempt)
            try:
                work(attempt)
            except Exception as error:  # noqa: BLE001 - whatever a model or a store may come up with
                self._fail(attempt, error)
            if self.current is None and (last := self._supply.last_good(attempt)) is not None:
                self._swap(attempt, last)
            with self._lock:
                package, status = self._package, self._status
            if package is not None and status.served is not None:
                model = KeptModel(package, compared=status.served.degraded is None)
                self._supply.share(attempt, model, is_desired=status.reload_error is None)
        finally:
            with self._lock:
                if self._running is attempt:
                    self._running = None

    def _look_again(self, attempt: Attempt) -> None:
        if self.current is not None and self.current.degraded is not None:
            self._compare_again(attempt, self.current)
        status = self._status
        is_desired = status.served is not None and status.reload_error is None
        # Replicas that were told of their deploys in another order may differ, although nothing failed.
        if is_desired and attempt.max_age is None and self._supply.agreed(attempt) in (None, _uri(status)):
            return
        self._bring_into_service(attempt)

    def _compare_again(self, attempt: Attempt, served: ServedModel) -> None:
        uri, mismatch = served.version.uri, None
        try:
            if self._supply.compare(attempt, uri, served.prediction.info) is not None:
                return
        except CorruptModel as error:
            mismatch = short_reason(error)
        except Exception as error:  # noqa: BLE001 - nothing is learnt, and an alias has to be followed all the same
            logger.debug("%s cannot be compared yet: %s", uri, short_reason(error))
            return
        with self._lock:
            if attempt.superseded:
                return
            before, known = self._status, self._mismatch
            # A desired model that failed is the greater news.
            error_now = mismatch if before.reload_error in (None, known) else before.reload_error
            self._status = replace(before, served=replace(served, degraded=mismatch), reload_error=error_now)
            self._mismatch = mismatch
        if mismatch is None:
            logger.info("%s normalizes as its data version says, and is degraded no more", uri)
        elif mismatch != known:
            logger.error("%s goes on serving, and should not: %s", uri, mismatch)
            self._observe(uri, mismatch)

    def _bring_into_service(self, attempt: Attempt) -> None:
        uri = attempt.target = self._supply.look_up(attempt)
        served = self.current
        if served is not None and served.version.uri == uri:
            self._settle(attempt)
        elif uri != self._refused and not attempt.superseded:
            self._swap(attempt, self._supply.load(attempt, uri))

    def _settle(self, attempt: Attempt) -> None:
        """What is desired serves already."""
        with self._lock:
            if not attempt.superseded:
                self._refused = None
                self._status = replace(self._status, reload_error=self._mismatch)

    def _swap(self, attempt: Attempt, model: CheckedModel) -> None:
        package, uri = model.package, model.package.version.uri
        served = ServedModel(
            version=package.version,
            uuid=package.uuid,
            signature=package.signature,
            created=package.created,
            prediction=model.prediction,
            degraded=model.degraded,
        )
        with self._lock:
            if attempt.superseded:
                return
            before = self._status
            # The last good model, served in place of the desired one, leaves the error as it is.
            error = None if uri == attempt.target else before.reload_error
            self._status = replace(before, served=served, reload_error=error)
            self._package, self._mismatch = package, None
        instead = f"in place of {before.served.version.uri}" if before.served else "with none before it"
        logger.info("%s is in service after %.1f s, %s", uri, time.monotonic() - attempt.started, instead)
        if model.degraded is not None:
            logger.warning("degraded: %s", model.degraded)
        self._observe(uri, None)

    def _fail(self, attempt: Attempt, error: Exception) -> None:
        line = short_reason(error)
        with self._lock:
            if attempt.superseded:
                return
            before = self._status
            self._status = replace(before, reload_error=line)
            if isinstance(error, CorruptModel):
                self._refused = attempt.target
        if line != before.reload_error:
            now = f"{before.served.version.uri} goes on serving" if before.served else "no model serves yet"
            unforeseen = None if isinstance(error, FmnistError) else error
            logger.error("%s did not go into service, %s: %s", attempt.target, now, line, exc_info=unforeseen)
        self._observe(attempt.target, line)


def _uri(status: ServingStatus) -> str | None:
    return None if status.served is None else status.served.version.uri
