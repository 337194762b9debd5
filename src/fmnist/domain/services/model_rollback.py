"""The way back: the version that the champion replaced becomes champion again, by one command and with a reason."""

import logging
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

from fmnist.domain.model.errors import ModelNotFound
from fmnist.domain.model.promotion import Alias, Stage, StagedName
from fmnist.domain.model.promotion_records import NOBODY, REPLACES, Rollback
from fmnist.domain.model.registry import ModelVersion
from fmnist.domain.services.promotion_state import Outcome, PromotionState, check_aliases, check_said, now_utc
from fmnist.ports.model_store import ModelStore

logger = logging.getLogger(__name__)


class ModelRollback:
    """Takes a champion back; its arguments are those of `ModelPromotion`."""

    def __init__(
        self,
        store: ModelStore,
        source: StagedName,
        lock: Callable[[], AbstractContextManager[object]] = nullcontext,
        now: Callable[[], str] = now_utc,
    ) -> None:
        self._store = store
        self._source = source
        self._prod = str(source.at(Stage.PROD))
        self._lock = lock
        self._now = now

    def run(self, *, by: str, reason: str) -> Outcome:
        """Make the version that the champion replaced champion again, and the champion `@previous`.

        In this order: the record on the champion, `@champion`, `@previous`, reading both back. A repetition finishes
        what an earlier attempt began, and does nothing when that was all: it never goes back twice.

        Raises:
            InvalidSetting: it does not say who, or why.
            ModelNotFound: there is no champion, or none before it.
            Conflict: the aliases changed while this was under way.
        """
        check_said("a rollback", by=by, reason=reason)
        with self._lock():
            state = self._read()
            champion, previous = state.champion, state.previous
            if champion is None:
                raise ModelNotFound(f"{self._prod} has no champion: there is nothing to roll back")
            begun = Rollback.of(champion)
            interrupted = _taken_back_for(state, champion) if previous == champion else None
            if previous is not None and previous != champion and _goes_to(previous, champion):
                message = f"{previous.uri} was rolled back already, {champion.uri} is @champion: nothing changed"
                return self._outcome(champion, message)
            if interrupted is not None:
                taken_back, target = interrupted, champion
            else:
                taken_back, target = champion, self._target(state, champion, begun)
                if begun is None:
                    record = Rollback(
                        version=champion.uri, at=self._now(), to=target.version, by=by.strip(), reason=reason.strip()
                    )
                    self._store.label(champion, tags=record.tag())
            self._store.label(target, alias=Alias.CHAMPION)
            self._store.label(taken_back, alias=Alias.PREVIOUS)
            check_aliases(self._read(), target, taken_back)
            return self._outcome(target, f"{target.uri} is @champion again, {taken_back.uri} was rolled back")

    def _read(self) -> PromotionState:
        return PromotionState.read(self._store, self._source)

    def _outcome(self, version: ModelVersion, message: str) -> Outcome:
        logger.info("%s", message)
        return Outcome(self._store.resolve(version.uri), message)

    def _target(self, state: PromotionState, champion: ModelVersion, begun: Rollback | None) -> ModelVersion:
        """Return what the champion is rolled back to.

        That is `@previous`, save where a release broke off after it had pointed `@previous` at the champion itself.
        """
        if begun is not None:
            target = state.released(str(begun.to))
        elif state.previous == champion:
            target = state.released(champion.tags.get(REPLACES, NOBODY))
        else:
            target = state.previous
        if target is None:
            raise ModelNotFound(f"{champion.uri} is the champion, and there is none before it to roll back to")
        return target


def _goes_to(taken_back: ModelVersion, champion: ModelVersion) -> bool:
    record = Rollback.of(taken_back)
    return record is not None and record.to == champion.version


def _taken_back_for(state: PromotionState, champion: ModelVersion) -> ModelVersion | None:
    """Return the newest version that was rolled back in favour of this one."""
    return next((version for version in state.prod if _goes_to(version, champion)), None)
