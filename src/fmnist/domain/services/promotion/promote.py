"""Promotes a model from the source through staging to production. `rollback.py` is the way back.

Each step can be repeated: it keeps what an earlier attempt did, and does the rest. No step leaves the production model
without a champion at any time.
"""

import logging
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, replace

from fmnist.domain.model.errors import InvalidSetting, NotReady, Remedy
from fmnist.domain.model.model import ModelVersion
from fmnist.domain.model.promotion.records import NOBODY, Approval, DecisionRecord, Rollback, Tag
from fmnist.domain.model.promotion.stages import Alias, Stage, StagedName
from fmnist.domain.services.promotion.release_checks import (
    check_champion,
    check_ready,
    check_rollback,
    missing_approval,
)
from fmnist.domain.services.promotion.state import Lock, Outcome, PromotionState, check_aliases, check_said, now_utc
from fmnist.ports.model_store import ModelStore

logger = logging.getLogger(__name__)

AUTOMATIC, MANUAL = "automatic", "manual"


@dataclass(frozen=True, slots=True)
class ModelPromotion:
    """Stages, approves and releases versions of the model that promotions start from, such as `ci.NAME`."""

    store: ModelStore
    source: StagedName
    lock: Lock = nullcontext
    now: Callable[[], str] = now_utc

    def stage(self, challenger: ModelVersion) -> Outcome:
        """Copy a version with a positive decision to `staging.NAME`, and point `@candidate` at the copy.

        An earlier copy that was not released yet is used again, with the newest decision.

        Raises:
            NotReady: there is no decision about it, or the decision is to refuse it.
            Conflict: the champion has changed since the decision, or a rollback is not finished.
        """
        with self.lock():
            state, challenger = self._read(), self.store.resolve(challenger.uri)
            record = DecisionRecord.of(challenger)
            if record is None:
                raise NotReady(f"there is no decision about {challenger.uri}", Remedy.COMPARE)
            if not record.decision.promoted:
                raise NotReady(f"{challenger.uri} may not be staged: the decision is {record.decision.message}")
            check_champion(state, record)
            waiting = [copy for copy in state.staged_copies(challenger) if not _is_over(state.released_copy(copy))]
            if waiting:
                staged = waiting[0]
                self.store.label(staged, alias=Alias.CANDIDATE, tags=record.tag())
            else:
                tags: dict[str, str] = {Tag.STAGED_FROM: challenger.uri, Tag.STAGED_AT: self.now()}
                staged = self.store.copy(challenger, str(self.source.at(Stage.STAGING)), tags)
                self.store.label(staged, alias=Alias.CANDIDATE)
            return self._outcome(staged, f"{staged.uri} is @candidate, a copy of {challenger.uri}")

    def approve(self, uri: str | None, *, by: str, reason: str) -> Outcome:
        """Record that the staged version at `uri` (None: the candidate), and no other version, may be released.

        Raises:
            InvalidSetting: `by` or `reason` is empty.
            ModelNotFound: there is no such version, or no candidate.
        """
        check_said("an approval", by=by, reason=reason)
        with self.lock():
            state = self._read()
            staged = state.staged(uri)
            approval = Approval(
                version=staged.uri,
                at=self.now(),
                mode=MANUAL,
                by=by.strip(),
                reason=reason.strip(),
                basis=state.basis(staged),
            )
            self.store.label(staged, tags=approval.tag())
            return self._outcome(staged, f"{staged.uri} is approved by {approval.by}: {approval.reason}")

    def release(
        self, uri: str | None, *, by: str, approval: str = AUTOMATIC, serving_image: str | None = None
    ) -> Outcome:
        """Make a tested and approved staged version the champion, and the old champion `@previous`.

        The order is: make the copy with its tags, move `@previous`, move `@champion`, read both back, record the time.
        Nothing changes for clients until `@champion` moves, and then only a tag is missing. A repetition continues.

        Raises:
            InvalidSetting: `by` is empty, or the approval is neither `automatic` nor `manual`.
            NotReady: a positive decision, a passed test or the approval is missing, or it depends on another champion
                or policy; or the version was released before and is no longer champion.
            Conflict: the champion has changed since the decision or during the release, or a rollback is not finished.
            ModelNotFound: there is no such version, or no candidate.
        """
        check_release(by, approval)
        with self.lock():
            state = self._read()
            staged = state.staged(uri)
            self._end_rollback(state)
            released, champion = state.released_copy(staged), state.champion
            if released is not None and _is_over(released):
                return self._already(released, champion)
            if released is not None and champion is not None and champion.version == released.version:
                replaced = state.replaced_by(released)
            else:
                # The decision may be newer than the copy, if the source was compared again since.
                decision = check_ready(state, staged, manual=approval == MANUAL)
                tags = decision.tag() | self._release_tags(state, staged, by.strip(), approval, serving_image)
                released, replaced = self._copy(staged, released, tags), champion
            if replaced is not None:
                self.store.label(replaced, alias=Alias.PREVIOUS)
            self.store.label(released, alias=Alias.CHAMPION)
            check_aliases(self._read(), released, replaced)
            self.store.label(released, tags={Tag.PROMOTED_AT: self.now()})
            instead = f" in place of {replaced.uri}" if replaced else ", the first one"
            return self._outcome(released, f"{released.uri} is @champion{instead}")

    def _read(self) -> PromotionState:
        return PromotionState.read(self.store, self.source)

    def _outcome(self, version: ModelVersion, message: str) -> Outcome:
        logger.info("%s", message)
        return Outcome(self.store.resolve(version.uri), message)

    def _end_rollback(self, state: PromotionState) -> None:
        """Record the missing end of a rollback before the aliases move, because they show that it ended."""
        check_rollback(state)
        if begun := state.open_rollback:
            self.store.label(begun.taken_back, tags=replace(begun.record, ended=self.now()).tag())

    def _release_tags(
        self, state: PromotionState, staged: ModelVersion, by: str, approval: str, serving_image: str | None
    ) -> dict[str, str]:
        tags: dict[str, str] = {
            Tag.RELEASED_FROM: staged.uri,
            Tag.REPLACES: str(state.champion.version) if state.champion else NOBODY,
            Tag.PROMOTED_BY: by,
            **({Tag.SERVING_IMAGE: serving_image} if serving_image else {}),
        }
        if approval == AUTOMATIC and missing_approval(state, staged):
            reason, basis = "its comparison and its test passed", state.basis(staged)
            tags |= Approval(version=staged.uri, at=self.now(), mode=AUTOMATIC, by=by, reason=reason, basis=basis).tag()
        return tags

    def _copy(self, staged: ModelVersion, released: ModelVersion | None, tags: dict[str, str]) -> ModelVersion:
        """Copy the staged version, or update the tags of the copy that an interrupted release made."""
        if released is None:
            return self.store.copy(staged, str(self.source.at(Stage.PROD)), tags)
        self.store.label(released, tags={**staged.tags, **tags})
        return released

    def _already(self, released: ModelVersion, champion: ModelVersion | None) -> Outcome:
        if champion is not None and champion.version == released.version:
            return self._outcome(released, f"{released.uri} is @champion already: nothing changed")
        undone = Rollback.of(released)
        why = f"was rolled back by {undone.by}: {undone.reason}" if undone else "is no longer champion"
        raise NotReady(
            f"it was released as {released.uri}, which {why}; to release it again, compare and stage it again"
        )


def check_release(by: str, approval: str) -> None:
    """Check, before a release begins, that `by` is not empty and that `approval` is valid.

    Raises:
        InvalidSetting: one of them is not.
    """
    check_said("a release", by=by)
    if approval not in {AUTOMATIC, MANUAL}:
        raise InvalidSetting(f"approval must be {AUTOMATIC} or {MANUAL}, found {approval!r}")


def _is_over(released: ModelVersion | None) -> bool:
    """Return whether the release that made this copy is finished, or was rolled back."""
    return released is not None and (Tag.PROMOTED_AT in released.tags or Rollback.of(released) is not None)
