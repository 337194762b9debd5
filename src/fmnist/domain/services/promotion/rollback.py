"""Rolls back a promotion: the version that was champion before becomes champion again. The reason is recorded."""

import logging
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, replace

from fmnist.domain.model.errors import ModelNotFound
from fmnist.domain.model.model import ModelVersion
from fmnist.domain.model.promotion.records import Rollback, Tag
from fmnist.domain.model.promotion.stages import Alias, Stage, StagedName
from fmnist.domain.services.promotion.state import Lock, Outcome, PromotionState, check_aliases, check_said, now_utc
from fmnist.ports.model_store import ModelStore

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ModelRollback:
    """Takes a champion back."""

    store: ModelStore
    source: StagedName
    lock: Lock = nullcontext
    now: Callable[[], str] = now_utc

    def run(self, *, by: str, reason: str) -> Outcome:
        """Make the champion before the current one champion again, and the current champion `@previous`.

        The order is: write the record on the champion, move `@champion`, move `@previous`, read both back, record the
        end. A repetition finishes an interrupted rollback. After a finished one it does nothing, so it never goes back
        twice. If another tool moved only `@champion`, the recorded champion becomes `@previous` first.

        Raises:
            InvalidSetting: `by` or `reason` is empty.
            ModelNotFound: there is no champion, or none before it.
            Conflict: the aliases changed during the rollback.
        """
        check_said("a rollback", by=by, reason=reason)
        with self.lock():
            prod, state, note = self.source.at(Stage.PROD), self._read(), ""
            champion, previous, begun = state.champion, state.previous, state.open_rollback
            if champion is None:
                raise ModelNotFound(f"{prod} has no champion: there is nothing to roll back")
            if previous is not None and previous != champion and _goes_to(previous, champion):
                if begun is not None and begun.only_its_end_is_missing:
                    self._end(begun.taken_back, begun.record)
                message = f"{previous.uri} was already rolled back, {champion.uri} is @champion: nothing changed"
                return self._outcome(champion, message)
            if begun is None:
                taken_back, skipped = champion, _skipped(state, champion)
                target = skipped or _target(state, champion)
                if skipped is not None:
                    # The other tool should have done this. A repetition then finds the aliases as after any release.
                    self.store.label(skipped, alias=Alias.PREVIOUS)
                    order = f"version {skipped.version} was champion before version {champion.version}"
                    note = f": another tool had made it champion, {order}"
                record = Rollback(
                    version=champion.uri, at=self.now(), to=target.version, by=by.strip(), reason=reason.strip()
                )
                self.store.label(champion, tags=record.tag())
            else:
                taken_back, record = begun.taken_back, begun.record
                target = self.store.resolve(f"models:/{prod}/{record.to}")
            self.store.label(target, alias=Alias.CHAMPION)
            self.store.label(taken_back, alias=Alias.PREVIOUS)
            check_aliases(self._read(), target, taken_back)
            self._end(taken_back, record)
            if target.version == champion.version:
                message = f"{target.uri} is @champion: the interrupted rollback of {taken_back.uri} is now finished"
            else:
                message = f"{target.uri} is @champion again, {taken_back.uri} was rolled back{note}"
            return self._outcome(target, message)

    def _end(self, taken_back: ModelVersion, record: Rollback) -> None:
        self.store.label(taken_back, tags=replace(record, ended=self.now()).tag())

    def _read(self) -> PromotionState:
        return PromotionState.read(self.store, self.source)

    def _outcome(self, version: ModelVersion, message: str) -> Outcome:
        logger.info("%s", message)
        return Outcome(self.store.resolve(version.uri), message)


def _skipped(state: PromotionState, champion: ModelVersion) -> ModelVersion | None:
    """Return the recorded champion if another tool moved `@champion` and left `@previous` as it was."""
    if state.is_ours(champion) and Tag.PROMOTED_AT not in champion.tags:
        return None  # a release by fmnist moved it, and was interrupted
    recorded, left = state.on_record
    return recorded if recorded != champion and state.previous in (left, champion) else None


def _target(state: PromotionState, champion: ModelVersion) -> ModelVersion:
    """Return the version that the champion is rolled back to.

    It is `@previous`, unless an interrupted release pointed `@previous` at the champion itself.
    """
    target = state.replaced_by(champion) if state.previous == champion else state.previous
    if target is None:
        raise ModelNotFound(f"{champion.uri} is the champion, and there is no earlier champion to roll back to")
    return target


def _goes_to(taken_back: ModelVersion, champion: ModelVersion) -> bool:
    record = Rollback.of(taken_back)
    return record is not None and record.to == champion.version
