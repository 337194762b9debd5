"""Where a model's promotion stands, as one reading of its three registered models. It writes nothing."""

import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Self

from fmnist.domain.model.errors import Conflict, InvalidSetting, ModelNotFound
from fmnist.domain.model.promotion import Alias, Stage, StagedName
from fmnist.domain.model.promotion_records import RELEASED_FROM, STAGED_FROM
from fmnist.domain.model.registry import ModelVersion
from fmnist.ports.model_store import ModelStore


@dataclass(frozen=True, slots=True, kw_only=True)
class PromotionState:
    """Versions of the source, of `staging.NAME` and of `prod.NAME`, each newest first."""

    source: tuple[ModelVersion, ...]
    staging: tuple[ModelVersion, ...]
    prod: tuple[ModelVersion, ...]

    @classmethod
    def read(cls, store: ModelStore, source: StagedName) -> Self:
        """List all three."""
        return cls(
            source=tuple(store.versions(str(source))),
            staging=tuple(store.versions(str(source.at(Stage.STAGING)))),
            prod=tuple(store.versions(str(source.at(Stage.PROD)))),
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
        """The version that a rollback makes champion again, or the one that a rollback took back."""
        return _pointed_at(self.prod, Alias.PREVIOUS)

    def staged_copies(self, source: ModelVersion) -> list[ModelVersion]:
        """Return the copies of a source version in `staging.NAME`, newest first."""
        return [copy for copy in self.staging if copy.tags.get(STAGED_FROM) == source.uri]

    def released_copy(self, staged: ModelVersion) -> ModelVersion | None:
        """Return the copy of a staged version in `prod.NAME`, finished or not."""
        return next((copy for copy in self.prod if copy.tags.get(RELEASED_FROM) == staged.uri), None)

    def released(self, number: str) -> ModelVersion | None:
        """Return the version of `prod.NAME` with this number, or None."""
        return next((version for version in self.prod if str(version.version) == number), None)

    def staged(self, uri: str | None, name: str) -> ModelVersion:
        """Return the staged version of that URI, or the candidate.

        Raises:
            ModelNotFound: no such version, or no candidate.
            InvalidSetting: a version of another model than the staged one, `name`.
        """
        if uri is None:
            if self.candidate is None:
                raise ModelNotFound(f"{name} has no alias 'candidate': run fmnist promote stage first")
            return self.candidate
        for version in self.staging:
            if uri in {version.uri, *(f"models:/{name}@{alias}" for alias in version.aliases)}:
                return version
        if not uri.startswith((f"models:/{name}/", f"models:/{name}@")):
            raise InvalidSetting(f"{uri} is no version of {name}: expected models:/{name}/VERSION")
        there = ", ".join(str(version.version) for version in self.staging) or "none"
        raise ModelNotFound(f"there is no {uri}: {name} has the versions {there}")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a step came to: the version that it is about as it stands now, and one line for a person."""

    version: ModelVersion
    message: str


def check_aliases(state: PromotionState, champion: ModelVersion, previous: ModelVersion | None) -> None:
    """See that what was written is what reads back; `previous` is None where there was none to write.

    Raises:
        Conflict: it is not: another promotion, on another machine, has written in between.
    """
    expected = [(Alias.CHAMPION, champion, state.champion), (Alias.PREVIOUS, previous, state.previous)]
    for alias, written, found in expected:
        if written is not None and (found is None or found.version != written.version):
            raise Conflict(
                f"{written.name}@{alias} was set to version {written.version} and reads back as "
                f"{found.version if found else 'absent'}: somebody else promotes at the same time; look at fmnist "
                "promote status before you run this again"
            )


def check_said(what: str, **said: str) -> None:
    """See that a record of something that a person does says who, and why.

    Raises:
        InvalidSetting: names all that is missing.
    """
    if missing := [name for name, value in said.items() if not value.strip()]:
        raise InvalidSetting(f"{what} must say --{' and --'.join(missing)}: found nothing there")


def now_utc() -> str:
    """The time as records hold it: ISO 8601, UTC, to the second."""
    return iso_utc(time.time())


def iso_utc(seconds: float) -> str:
    """Write seconds since 1970 as records hold a time."""
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%SZ}"


def _pointed_at(versions: tuple[ModelVersion, ...], alias: Alias) -> ModelVersion | None:
    return next((version for version in versions if alias in version.aliases), None)
