"""Which model a replica answers with: desired, loaded, checked, warmed, and only then swapped in.

A reload that fails anywhere leaves the model that serves as it is. ADR 19 draws the states. No HTTP and no Ray here.
"""

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from fmnist.domain.model.errors import CorruptModel, FmnistError
from fmnist.domain.services.serving.load import Attempt, ModelSources, ServedModel, short_reason

logger = logging.getLogger(__name__)

ReloadObserver = Callable[[str, str | None], None]
"""Told of each model that went into service, or should have: its URI, and why it did not, or None. Must not raise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServingStatus:
    """What a replica was asked to serve, what it serves, and what went wrong in between.

    Attributes:
        desired: the model URI that was asked for, or `newest version of NAME`.
        served: the model that answers, or None until one does.
        reload_error: why what is desired is not what is served, or should not be, or None. One line, for a person.
        refused: the URI of a version that is corrupt, which no time mends: it is not loaded until another is named.
        mismatch: how the served model's normalization differs, when that came out too late to refuse it.
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
    """Keeps one replica's model what it is desired to be. Safe to call from many threads; `deploy` and `poll` block.

    What the replicas of a deployment share is the memory: the first of them looks up what an alias stands for and
    downloads it, and the others take both from there, also when the store is down by then.
    """

    def __init__(self, sources: ModelSources, observe: ReloadObserver = lambda _uri, _error: None) -> None:
        self._sources = sources
        self._observe = observe
        self._status = ServingStatus(desired=Attempt(sources, None).name, served=None, reload_error=None)
        # Guards the status and the attempts: only the running one, which is the newest, may change the status.
        self._lock = threading.Lock()
        self._running: Attempt | None = None
        self._deployed: Attempt | None = None
        # The deploy that the memory has heard of.
        self._announced: Attempt | None = None

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
        attempt = Attempt(self._sources, desired)
        with self._lock:
            self._running = self._deployed = attempt
            self._status = replace(self._status, desired=attempt.name, reload_error=None, refused=None)
        self._run(attempt, self._reload)

    def poll(self, max_age: float | None) -> None:
        """Try again what failed for a reason that time may mend, and follow an alias or the newest version.

        What one replica found counts for all of them until it is `max_age` seconds old; with None nothing is looked up
        again that was found once. A model that could not be compared with the data registry is compared as soon as
        that answers. One that turns out to be wrong goes on serving, with the reason in the status: nothing better may
        be at hand. The memory is given the model again when it has lost it.
        """
        with self._lock:
            if self._deployed is None or self._running is not None:
                return
            attempt = self._running = Attempt(self._sources, self._deployed.desired, max_age)
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
        # Replicas that were told of their deploys in another order may differ, although nothing failed.
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
        except Exception as error:  # noqa: BLE001 - nothing is learnt, and an alias has to be followed all the same
            logger.debug("%s cannot be compared yet: %s", uri, short_reason(error))
            return
        # A desired model that failed is the greater news.
        error_now = mismatch if before.reload_error in (None, before.mismatch) else before.reload_error
        compared = replace(served, degraded=mismatch)
        if not self._change(attempt, replace(before, served=compared, reload_error=error_now, mismatch=mismatch)):
            return
        if mismatch is None:
            logger.info("%s normalizes as its data version says, and is degraded no more", uri)
        elif mismatch != before.mismatch:
            logger.error("%s goes on serving, and should not: %s", uri, mismatch)
            self._observe(uri, mismatch)

    def _reload(self, attempt: Attempt) -> None:
        target = attempt.name
        try:
            target = self._look_up(attempt)
            status = self._status
            if target == status.served_uri:
                self._change(attempt, replace(status, reload_error=status.mismatch, refused=None))
            elif target != status.refused and self._running is attempt:
                self._swap(attempt, attempt.load(target), target)
        except Exception as error:  # noqa: BLE001 - whatever a model or a store may come up with
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
        # The last good model, served in place of the desired one, leaves the error as it is.
        if uri == target:
            after = replace(after, reload_error=None, refused=None)
        if not self._change(attempt, after):
            return
        instead = f"in place of {before.served_uri}" if before.served else "with none before it"
        logger.info("%s is in service after %.1f s, %s", uri, time.monotonic() - attempt.started, instead)
        if model.degraded is not None:
            logger.warning("degraded: %s", model.degraded)
        self._observe(uri, None)

    def _fail(self, attempt: Attempt, target: str, error: Exception) -> None:
        before, line = self._status, short_reason(error)
        refused = target if isinstance(error, CorruptModel) else before.refused
        if not self._change(attempt, replace(before, reload_error=line, refused=refused)):
            return
        if line != before.reload_error:
            now = f"{before.served_uri} goes on serving" if before.served else "no model serves yet"
            unforeseen = None if isinstance(error, FmnistError) else error
            logger.error("%s did not go into service, %s: %s", target, now, line, exc_info=unforeseen)
        self._observe(target, line)

    def _change(self, attempt: Attempt, status: ServingStatus) -> bool:
        """Take the next status, unless a newer deploy has begun; return whether it was taken."""
        with self._lock:
            if self._running is not attempt:
                return False
            self._status = status
            return True
