"""Records that a promotion writes on model versions and reads back. Each record is one tag with JSON.

A registry sets tags one by one, so a record in one tag is complete or absent. The newest record of a kind has the
kind's name as its tag. A second tag has its time, so that a later record does not overwrite it. Copies inherit the tags
of their source, so a record names its version, and counts for no other. Fields that later versions of fmnist added have
a default, so that older records can be read.
"""

import dataclasses
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, ClassVar, Self

from fmnist.domain.model.errors import CorruptModel, InvalidSetting
from fmnist.domain.model.model import ModelVersion
from fmnist.domain.model.promotion.policy import Decision, Mode, PromotionPolicy, Rule

NOBODY = "none"
_EARLIER_RATIO = 2.0


class Tag(StrEnum):
    """Tags of a staged or released version that have one plain value. `REPLACES` is `NOBODY` for the first champion."""

    STAGED_FROM = "staged_from"
    STAGED_AT = "staged_at"
    RELEASED_FROM = "released_from"
    REPLACES = "replaces"
    PROMOTED_BY = "promoted_by"
    PROMOTED_AT = "promoted_at"
    SERVING_IMAGE = "serving_image"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Record:
    """A record of the version `version` (a model URI), made at `at` (ISO 8601, UTC)."""

    TAG: ClassVar[str]

    version: str
    at: str

    def tag(self) -> dict[str, str]:
        """Return the record as tags: one for its kind, and one with its time."""
        text = json.dumps(self._values())
        return {self.TAG: text, f"{self.TAG}_at_{self.at.replace(':', '')}": text}

    @classmethod
    def of(cls, version: ModelVersion) -> Self | None:
        """Return the record about exactly this version, or None.

        Raises:
            CorruptModel: the tag is not a valid record.
        """
        found = cls.read(version)
        return found if found is not None and found.version == version.uri else None

    @classmethod
    def read(cls, version: ModelVersion) -> Self | None:
        """Return the record in the version's tags, its own or its source's. Raises as `of` does."""
        text = version.tags.get(cls.TAG)
        if text is None:
            return None
        try:
            return cls._parse(json.loads(text))
        except (ValueError, TypeError, KeyError, AttributeError, InvalidSetting) as error:
            raise CorruptModel(
                f"tag {cls.TAG} of {version.uri} is not a valid record ({error!r}): correct or remove it"
            ) from error

    @classmethod
    def all_of(cls, version: ModelVersion) -> list[Self]:
        """Return all records of this kind about exactly this version, oldest first. Raises as `of` does."""
        texts = [text for name, text in sorted(version.tags.items()) if name.startswith(f"{cls.TAG}_at_")]
        found = [cls.of(dataclasses.replace(version, tags={cls.TAG: text})) for text in texts]
        return [record for record in found if record is not None]

    def _values(self) -> dict[str, Any]:
        return dataclasses.asdict(self)

    @classmethod
    def _parse(cls, values: Mapping[str, Any]) -> Self:
        return cls(**values)


@dataclass(frozen=True, slots=True)
class Basis:
    """What a promotion step depends on: the champion at that time (a URI; None without one), and the policy."""

    champion: str | None
    policy: PromotionPolicy

    @classmethod
    def parse(cls, values: Mapping[str, Any] | None) -> Self | None:
        """Read the basis from a record; None for a record of an earlier version, which has none."""
        return None if values is None else cls(values["champion"], PromotionPolicy.from_mapping(values["policy"]))

    def changed_since(self, earlier: Self | None, names: Collection[str] | None = None) -> str:
        """Return why a step with the basis `earlier` is not valid for this basis; empty if it is.

        `names` are the fields of the policies that are compared; None means all.
        """
        if earlier is None:
            return "names no champion, because an earlier version of fmnist recorded it"
        if earlier.champion != self.champion:
            return (
                f"was against {earlier.champion or 'no champion'}, but the champion is now {self.champion or 'absent'}"
            )
        other = earlier.policy.differences(self.policy, names)
        return other and f"was under another policy than the comparison: {other}"


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionRecord(_Record):
    """A decision about the challenger `version`.

    Attributes:
        champion: URI of the champion that it was compared with; None if there was none.
        mode, rules: mode and rules of the decision.
        data_version, split: data that both models were measured on; None if a logged metric decided.
        policy: the policy's fields.
    """

    TAG: ClassVar[str] = "decision"

    champion: str | None
    mode: Mode
    rules: tuple[Rule, ...]
    data_version: str | None
    split: str | None
    policy: Mapping[str, Any]

    @property
    def decision(self) -> Decision:
        """What was decided."""
        return Decision(self.mode, self.rules)

    @property
    def basis(self) -> Basis:
        """The champion and the policy of the decision, without the default latency ratio of earlier versions.

        That default was near the ratio of two good networks, so chance decided. Those versions had no `max_latency_ms`.
        """
        policy = dict(self.policy)
        if "max_latency_ms" not in policy and policy.get("max_latency_ratio") == _EARLIER_RATIO:
            del policy["max_latency_ratio"]
        return Basis(self.champion, PromotionPolicy.from_mapping(policy))

    def _values(self) -> dict[str, Any]:
        return {"promoted": self.decision.promoted, "message": self.decision.message, **dataclasses.asdict(self)}

    @classmethod
    def _parse(cls, values: Mapping[str, Any]) -> Self:
        fields = {name: value for name, value in values.items() if name not in {"promoted", "message"}}
        rules = tuple(Rule(**rule) for rule in fields.pop("rules"))
        return cls(**{**fields, "mode": Mode(fields["mode"]), "rules": rules})


@dataclass(frozen=True, slots=True, kw_only=True)
class AcceptanceRecord(_Record):
    """The result of the test of a staged version. The test passed if every check passed.

    Attributes:
        basis: basis of the test; None in records of earlier versions.
    """

    TAG: ClassVar[str] = "acceptance"

    checks: tuple[Rule, ...]
    basis: Basis | None = None

    @property
    def passed(self) -> bool:
        """Whether the version may be released."""
        return all(check.passed for check in self.checks)

    @property
    def message(self) -> str:
        """The result in one line, with the failures."""
        failed = [check.reason for check in self.checks if not check.passed]
        return "failed: " + "; ".join(failed) if failed else f"passed: {len(self.checks)} checks"

    @classmethod
    def _parse(cls, values: Mapping[str, Any]) -> Self:
        checks = tuple(Rule(**check) for check in values["checks"])
        return cls(**{**values, "checks": checks, "basis": Basis.parse(values.get("basis"))})


@dataclass(frozen=True, slots=True, kw_only=True)
class Approval(_Record):
    """Permission to release the staged `version`, by a person, or by the pipeline in mode `automatic`.

    Attributes:
        basis: basis of the approval; None in records of earlier versions.
    """

    TAG: ClassVar[str] = "approval"

    mode: str
    by: str
    reason: str
    basis: Basis | None = None

    @classmethod
    def _parse(cls, values: Mapping[str, Any]) -> Self:
        return cls(**{**values, "basis": Basis.parse(values.get("basis"))})


@dataclass(frozen=True, slots=True, kw_only=True)
class Rollback(_Record):
    """The champion `version` is rolled back to version number `to` of the same model.

    Attributes:
        ended: time (ISO 8601, UTC) after both aliases moved; None before that, and in records of earlier versions.
    """

    TAG: ClassVar[str] = "rollback"

    to: int
    by: str
    reason: str
    ended: str | None = None
