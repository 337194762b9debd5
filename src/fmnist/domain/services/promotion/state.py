"""The state of a model's promotion, as read from its registered models. It writes nothing."""

import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Self

from fmnist.domain.model.errors import Conflict, InvalidSetting, ModelNotFound, Remedy
from fmnist.domain.model.model import ModelVersion
from fmnist.domain.model.promotion.policy import PromotionPolicy
from fmnist.domain.model.promotion.records import NOBODY, Basis, DecisionRecord, Rollback, Tag
from fmnist.domain.model.promotion.stages import Alias, Stage, StagedName
from fmnist.ports.model_store import ModelStore

Lock = Callable[[], AbstractContextManager[object]]
"""Makes a context that one promotion at a time can enter. Its holder can enter it again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PromotionState:
    """Versions of the source `name`, of `staging.NAME` and of `prod.NAME`, each newest first.

    `origins` are the versions of all sources, because another source may have been compared and staged.
    """

    name: StagedName
    source: tuple[ModelVersion, ...]
    origins: tuple[ModelVersion, ...]
    staging: tuple[ModelVersion, ...]
    prod: tuple[ModelVersion, ...]

    @classmethod
    def read(cls, store: ModelStore, source: StagedName) -> Self:
        """Read all versions from the store."""
        versions = {stage: tuple(store.versions(str(source.at(stage)))) for stage in Stage}
        return cls(
            name=source,
            source=versions[source.stage],
            origins=versions[Stage.DEV] + versions[Stage.CI],
            staging=versions[Stage.STAGING],
            prod=versions[Stage.PROD],
        )

    @property
    def candidate(self) -> ModelVersion | None:
        """The staged version that is to be tested and released."""
        return _pointed_at(self.staging, Alias.CANDIDATE)

    @property
    def champion(self) -> ModelVersion | None:
        """The version that is served."""
        return _pointed_at(self.prod, Alias.CHAMPION)

    @property
    def previous(self) -> ModelVersion | None:
        """The version that a rollback makes champion again, or that a rollback took back."""
        return _pointed_at(self.prod, Alias.PREVIOUS)

    def staged_copies(self, source: ModelVersion) -> list[ModelVersion]:
        """Return the copies of a source version in `staging.NAME`, newest first."""
        return [copy for copy in self.staging if copy.tags.get(Tag.STAGED_FROM) == source.uri]

    def released_copy(self, staged: ModelVersion) -> ModelVersion | None:
        """Return the copy of a staged version that a release made in `prod.NAME`, finished or not."""
        # Another tool's copy of this copy has the same tags, and is newer.
        return next((copy for copy in reversed(self.prod) if copy.tags.get(Tag.RELEASED_FROM) == staged.uri), None)

    def released(self, number: str) -> ModelVersion | None:
        """Return the version of `prod.NAME` with this number, or None."""
        return next((version for version in self.prod if str(version.version) == number), None)

    def is_ours(self, version: ModelVersion) -> bool:
        """Return whether fmnist made this version of `staging.NAME` or `prod.NAME`, and not another tool.

        Another tool's copy of an older version has at most the tags of that version.
        """
        siblings, names = self.staging, [Tag.STAGED_FROM, Tag.STAGED_AT]
        if version.name == str(self.name.at(Stage.PROD)):
            siblings, names = self.prod, [Tag.RELEASED_FROM]
        made = [version.tags.get(name) for name in names]
        older = [[each.tags.get(name) for name in names] for each in siblings if each.version < version.version]
        return None not in made and made not in older

    def replaced_by(self, version: ModelVersion) -> ModelVersion | None:
        """Return the champion that the release of this version replaced, or None without a record of one."""
        return self.released(version.tags.get(Tag.REPLACES, NOBODY)) if self.is_ours(version) else None

    def decision(self, staged: ModelVersion) -> DecisionRecord | None:
        """Return the newest decision about the source of a staged version. Another tool's version has none.

        If the registry no longer has the source, it is the decision that the copy was staged with.
        """
        record = DecisionRecord.read(staged)
        if record is None or record.version != staged.tags.get(Tag.STAGED_FROM):
            return None
        origin = next((version for version in self.origins if version.uri == record.version), None)
        return record if origin is None else DecisionRecord.of(origin)

    def basis(self, staged: ModelVersion) -> Basis:
        """Return what a step on a staged version depends on now: the champion, and the policy of its comparison."""
        decision = self.decision(staged)
        return Basis(
            self.champion.uri if self.champion else None,
            decision.basis.policy if decision else PromotionPolicy(),
        )

    @property
    def on_record(self) -> tuple[ModelVersion | None, ModelVersion | None]:
        """The champion and `@previous` after the last recorded release or rollback. Other tools leave no record."""
        # Within one second, the higher version has the later step, and its rollback came after its release.
        steps: list[tuple[str, int, int, ModelVersion | None, ModelVersion | None]] = [
            (version.tags[Tag.PROMOTED_AT], version.version, 0, version, self.replaced_by(version))
            for version in self.prod
            if Tag.PROMOTED_AT in version.tags and self.is_ours(version)
        ]
        steps += [
            (record.ended or record.at, version.version, 1, self.released(str(record.to)), version)
            for version in self.prod
            if (record := Rollback.of(version))
        ]
        return max(steps, key=lambda step: step[:3])[3:] if steps else (None, None)

    @property
    def open_rollback(self) -> "OpenRollback | None":
        """The rollback that was started, and whose end is not recorded.

        A record of an earlier version of fmnist has no end. It counts only if nothing was released since.
        """
        champion, previous = self.champion, self.previous
        if champion is None:
            return None
        for version in self.prod:
            record = Rollback.of(version)
            if record is None or record.ended:
                continue
            has_moved = champion.version == record.to
            if has_moved and previous == version:
                return OpenRollback(version, record, only_its_end_is_missing=True)
            is_halfway = has_moved and previous == champion and not self._released_since(version, record)
            if version == champion or is_halfway:
                return OpenRollback(version, record, only_its_end_is_missing=False)
        return None

    def _released_since(self, taken_back: ModelVersion, record: Rollback) -> bool:
        """Return whether a later release replaced the version that this rollback restored."""
        later = (version for version in self.prod if version.version > taken_back.version)
        return any(version.tags.get(Tag.REPLACES) == str(record.to) for version in later if self.is_ours(version))

    def staged(self, uri: str | None) -> ModelVersion:
        """Return the staged version at `uri` (None: the candidate).

        Raises:
            ModelNotFound: there is no such version, or no candidate.
            InvalidSetting: the version is not one of `staging.NAME`.
        """
        name = self.name.at(Stage.STAGING)
        if uri is None:
            if self.candidate is None:
                raise ModelNotFound(f"{name} has no alias 'candidate'", Remedy.STAGE)
            return self.candidate
        for version in self.staging:
            if uri in {version.uri, *(f"models:/{name}@{alias}" for alias in version.aliases)}:
                return version
        if not uri.startswith((f"models:/{name}/", f"models:/{name}@")):
            raise InvalidSetting(f"{uri} is not a version of {name}: expected models:/{name}/VERSION")
        there = ", ".join(str(version.version) for version in self.staging) or "none"
        raise ModelNotFound(f"there is no {uri}: {name} has the versions {there}")


@dataclass(frozen=True, slots=True)
class OpenRollback:
    """A rollback without a recorded end: the version that it takes back, and whether both aliases have moved."""

    taken_back: ModelVersion
    record: Rollback
    only_its_end_is_missing: bool


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of a step: its version with the current aliases and tags, and one line for a person."""

    version: ModelVersion
    message: str


def check_aliases(state: PromotionState, champion: ModelVersion, previous: ModelVersion | None) -> None:
    """Check that the aliases read back as they were written. `previous` is None if it was not written.

    Raises:
        Conflict: they differ, because another promotion, on another machine, wrote in between.
    """
    expected = [(Alias.CHAMPION, champion, state.champion), (Alias.PREVIOUS, previous, state.previous)]
    for alias, written, found in expected:
        if written is not None and (found is None or found.version != written.version):
            raise Conflict(
                f"{written.name}@{alias} was set to version {written.version} and reads back as "
                f"{found.version if found else 'absent'}: another promotion runs at the same time",
                Remedy.SHOW_STATUS,
            )


def check_said(what: str, *, by: str, reason: str | None = None) -> None:
    """Check that a record of a person's action says who, and why. None means that no reason is asked for.

    Raises:
        InvalidSetting: a text is empty; the message names all that are.
    """
    said = {("the name of a person", Remedy.SAY_WHO): by, ("a reason", Remedy.SAY_WHY): reason}
    if missing := [each for each, text in said.items() if text is not None and not text.strip()]:
        raise InvalidSetting(f"{what} needs {' and '.join(name for name, _ in missing)}", *(r for _, r in missing))


def now_utc() -> str:
    """Return the time in the format of records: ISO 8601, UTC, to the millisecond."""
    return iso_utc(time.time())


def iso_utc(seconds: float) -> str:
    """Return seconds since 1970 (UTC) in the format of records."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _pointed_at(versions: tuple[ModelVersion, ...], alias: Alias) -> ModelVersion | None:
    return next((version for version in versions if alias in version.aliases), None)
