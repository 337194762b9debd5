"""The way back: the version that was champion before becomes champion again, by one command and with a reason."""

import logging
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace

from fmnist.domain.model.errors import ModelNotFound
from fmnist.domain.model.model import ModelVersion
from fmnist.domain.model.promotion.records import PROMOTED_AT, Rollback
from fmnist.domain.model.promotion.stages import Alias, Stage, StagedName
from fmnist.domain.services.promotion.state import Outcome, PromotionState, check_aliases, check_said, now_utc
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
        """Make the version that was champion directly before champion again, and the champion `@previous`.

        In this order: the record on the champion, `@champion`, `@previous`, reading both back, the end in the record. A
        repetition finishes what an earlier attempt began, and does nothing when that was all: it never goes back twice.
        Where another tool moved `@champion` alone, that is the champion on record, and it is made `@previous` first.

        Raises:
            InvalidSetting: it does not say who, or why.
            ModelNotFound: there is no champion, or none before it.
            Conflict: the aliases changed while this was under way.
        """
        check_said("a rollback", by=by, reason=reason)
        with self._lock():
            state, note = self._read(), ""
            champion, previous, begun = state.champion, state.previous, state.open_rollback
            if champion is None:
                raise ModelNotFound(f"{self._prod} has no champion: there is nothing to roll back")
            if previous is not None and previous != champion and _goes_to(previous, champion):
                if begun is not None and begun.only_its_end_is_missing:
                    self._end(begun.taken_back, begun.record)
                message = f"{previous.uri} was rolled back already, {champion.uri} is @champion: nothing changed"
                return self._outcome(champion, message)
            if begun is None:
                taken_back, skipped = champion, _skipped(state, champion)
                target = skipped or _target(state, champion)
                if skipped is not None:
                    # The other tool should have: now a repetition finds the aliases as after any release.
                    self._store.label(skipped, alias=Alias.PREVIOUS)
                    note = (
                        f": another tool had made it champion, {skipped.version} was champion before {champion.version}"
                    )
                record = Rollback(
                    version=champion.uri, at=self._now(), to=target.version, by=by.strip(), reason=reason.strip()
                )
                self._store.label(champion, tags=record.tag())
            else:
                taken_back, record = begun.taken_back, begun.record
                target = self._store.resolve(f"models:/{self._prod}/{record.to}")
            self._store.label(target, alias=Alias.CHAMPION)
            self._store.label(taken_back, alias=Alias.PREVIOUS)
            check_aliases(self._read(), target, taken_back)
            self._end(taken_back, record)
            if target.version == champion.version:
                message = f"{target.uri} is @champion: the rollback of {taken_back.uri}, which broke off, is finished"
            else:
                message = f"{target.uri} is @champion again, {taken_back.uri} was rolled back{note}"
            return self._outcome(target, message)

    def _end(self, taken_back: ModelVersion, record: Rollback) -> None:
        self._store.label(taken_back, tags=replace(record, ended=self._now()).tag())

    def _read(self) -> PromotionState:
        return PromotionState.read(self._store, self._source)

    def _outcome(self, version: ModelVersion, message: str) -> Outcome:
        logger.info("%s", message)
        return Outcome(self._store.resolve(version.uri), message)


def _skipped(state: PromotionState, champion: ModelVersion) -> ModelVersion | None:
    """Return the champion on record where another tool moved `@champion` on, and left `@previous` as it was."""
    if state.is_ours(champion) and PROMOTED_AT not in champion.tags:
        return None  # a release of ours moved it, and broke off
    recorded, left = state.on_record
    return recorded if recorded != champion and state.previous in (left, champion) else None


def _target(state: PromotionState, champion: ModelVersion) -> ModelVersion:
    """Return what the champion is rolled back to.

    That is `@previous`, save where a release broke off after it had pointed `@previous` at the champion itself.
    """
    target = state.replaced_by(champion) if state.previous == champion else state.previous
    if target is None:
        raise ModelNotFound(f"{champion.uri} is the champion, and there is none before it to roll back to")
    return target


def _goes_to(taken_back: ModelVersion, champion: ModelVersion) -> bool:
    record = Rollback.of(taken_back)
    return record is not None and record.to == champion.version
