"""Chooses the model that a replica answers with. A new model is loaded, checked and warmed up before it is swapped in.

A reload that fails leaves the serving model as it is. ADR 19 draws the states. This module knows no HTTP and no Ray.
"""

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

from fmnist.domain.model.errors import CorruptModel, FmnistError
from fmnist.domain.services.serving.load import Attempt, ModelSources, ServedModel, short_reason

logger = logging.getLogger(__name__)

ReloadObserver = Callable[[str, str | None], None]
"""Called for each model that should go into service: its URI, and why it failed, or None. Must not raise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServingStatus:
    """The model that a replica should serve, the model that it serves, and the errors in between.

    Attributes:
        desired: the desired model's URI, or `newest version of NAME`.
        served: the model that answers; None until there is one.
        reload_error: why the desired model does not serve, or should not serve; None if all is well. One line.
        refused: URI of a corrupt version. Waiting cannot repair it, so `poll` does not load it again.
        mismatch: how the served model's normalization differs, if this was found too late to refuse it.
    """

    desired: str
    served: ServedModel | None
    reload_error: str | None
    refused: str | None = None
    mismatch: str | None = None

    @property
    def served_uri(self) -> str | None:
        """The version that answers."""
        return None if self.served is None else self.served.version.uri


class ModelServing:
    """Keeps the desired model in service in one replica. Safe to call from many threads. `deploy` and `poll` block.

    The replicas of a deployment share a memory. The first replica resolves an alias and downloads the model. The others
    take both from the memory, even if the store is down by then.

    Args:
        role: what the log calls a model that is not the service's own, such as `shadow`.
    """

    def __init__(
        self, sources: ModelSources, observe: ReloadObserver = lambda _uri, _error: None, *, role: str | None = None
    ) -> None:
        self._sources = sources
        self._observe = observe
        self._role = role
        self._status = ServingStatus(desired=Attempt(sources, None).desired, served=None, reload_error=None)
        # Guards the status and the attempts. Only the running attempt, which is the newest, may change the status.
        self._lock = threading.Lock()
        self._running: Attempt | None = None
        self._deployed: Attempt | None = None
        # The deploy that the memory knows.
        self._announced: Attempt | None = None

    @property
    def current(self) -> ServedModel | None:
        """The model that answers now, or None. A request reads it once; reading takes no lock."""
        return self._status.served

    @property
    def status(self) -> ServingStatus:
        """The desired model, the served model and the errors, all of the same moment."""
        return self._status

    def deploy(self, desired: str | None) -> None:
        """Bring `desired` into service: `models:/NAME/VERSION`, `models:/NAME@ALIAS`, or None for the newest version.

        The result is in `status`. Errors of a URI, a model or a store are not raised. A deploy that begins while
        another one runs supersedes it.
        """
        self.expect(desired)()

    def expect(self, desired: str | None) -> Callable[[], None]:
        """Begin a deploy, which supersedes all earlier ones, and return what loads the model. It does not block."""
        attempt = Attempt(self._sources, desired)
        with self._lock:
            self._running = self._deployed = attempt
            self._status = replace(self._status, desired=attempt.desired, reload_error=None, refused=None)
        return partial(self._run, attempt, self._reload)

    def poll(self, max_age: float | None) -> None:
        """Retry what failed for a reason that may pass, and follow an alias or the newest version.

        A lookup of one replica is valid for all replicas for `max_age` seconds; with None it is never repeated. A model
        that could not be compared with the data registry is compared as soon as the registry answers. If it turns out
        to be wrong it continues to serve, because there may be no better one. The status then says why. A memory that
        lost the model gets it again.
        """
        with self._lock:
            if self._deployed is None or self._running is not None:
                return
            attempt = self._running = Attempt(self._sources, self._deployed.uri, max_age)
        self._run(attempt, self._look_again)

    def _run(self, attempt: Attempt, work: Callable[[Attempt], None]) -> None:
        try:
            deployed = self._deployed
            if self._announced is not deployed and self._running is attempt and attempt.announce():
                self._announced = deployed
            work(attempt)
            status = self._status
            if status.served is not None and self._running is attempt:
                attempt.share(status.served, is_desired=status.reload_error is None)
        finally:
            with self._lock:
                if self._running is attempt:
                    self._running = None

    def _look_again(self, attempt: Attempt) -> None:
        if self.current is not None and self.current.degraded is not None:
            self._compare_again(attempt, self.current)
        status = self._status
        is_desired = status.served is not None and status.reload_error is None
        # Replicas that received deploys in another order may serve different models without an error.
        if is_desired and attempt.max_age is None and attempt.pinned() in (None, status.served_uri):
            return
        self._reload(attempt)

    def _compare_again(self, attempt: Attempt, served: ServedModel) -> None:
        before, uri, mismatch = self._status, served.version.uri, None
        try:
            if attempt.compare(uri, served.prediction.info) is not None:
                return
        except CorruptModel as error:
            mismatch = short_reason(error)
        except Exception as error:  # noqa: BLE001 - the alias must still be followed
            logger.debug("%s cannot be compared yet: %s", uri, short_reason(error))
            return
        # The error of a desired model that failed is more important.
        error_now = mismatch if before.reload_error in (None, before.mismatch) else before.reload_error
        compared = replace(served, degraded=mismatch)
        if not self._change(attempt, replace(before, served=compared, reload_error=error_now, mismatch=mismatch)):
            return
        if mismatch is None:
            logger.info("%s has the normalization of its data version, and is no longer degraded", uri)
        elif mismatch != before.mismatch:
            logger.error("%s continues to serve, but should not: %s", uri, mismatch)
            self._observe(uri, mismatch)

    def _reload(self, attempt: Attempt) -> None:
        target = attempt.desired
        try:
            target = self._look_up(attempt)
            status = self._status
            if target == status.served_uri:
                self._change(attempt, replace(status, reload_error=status.mismatch, refused=None))
            elif target != status.refused and self._running is attempt:
                self._swap(attempt, attempt.load(target), target)
        except Exception as error:  # noqa: BLE001 - a model or a store may raise anything
            self._fail(attempt, target, error)
        if self.current is None and (last := attempt.last_good()) is not None:
            self._swap(attempt, last, target)

    def _look_up(self, attempt: Attempt) -> str:
        if (agreed := attempt.pinned()) is not None:
            return agreed
        found = attempt.resolve()
        if self._running is attempt:
            attempt.pin(found)
        return found

    def _swap(self, attempt: Attempt, model: ServedModel, target: str) -> None:
        before, uri = self._status, model.version.uri
        after = replace(before, served=model, mismatch=None)
        # If the last good model serves instead of the desired one, the error stays.
        if uri == target:
            after = replace(after, reload_error=None, refused=None)
        if not self._change(attempt, after):
            return
        seconds = time.monotonic() - attempt.started
        if self._role is not None:
            logger.info("%s is loaded after %.1f s, as the %s", uri, seconds, self._role)
        else:
            instead = f"in place of {before.served_uri}" if before.served else "as the first model"
            logger.info("%s is in service after %.1f s, %s", uri, seconds, instead)
        if model.degraded is not None:
            logger.warning("degraded: %s", model.degraded)
        self._observe(uri, None)

    def _fail(self, attempt: Attempt, target: str, error: Exception) -> None:
        before, line = self._status, short_reason(error)
        refused = target if isinstance(error, CorruptModel) else before.refused
        if not self._change(attempt, replace(before, reload_error=line, refused=refused)):
            return
        if line != before.reload_error:
            now = f"{before.served_uri} continues to serve" if before.served else "no model serves yet"
            result = f"is not loaded as the {self._role}" if self._role else f"did not go into service, {now}"
            unforeseen = None if isinstance(error, FmnistError) else error
            logger.error("%s %s: %s", target, result, line, exc_info=unforeseen)
        self._observe(target, line)

    def _change(self, attempt: Attempt, status: ServingStatus) -> bool:
        """Take the next status, unless a newer deploy has begun; return whether it was taken."""
        with self._lock:
            if self._running is not attempt:
                return False
            self._status = status
            return True
