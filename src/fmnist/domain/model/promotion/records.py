"""What a promotion writes on model versions, and how it is read back: one tag a record, as JSON.

A registry sets tags one by one, so a record in one tag is there whole or not at all. The newest of a kind is under the
kind's name, and each once more under its time: a later one does not efface it. Copies inherit the tags of their source;
a record therefore names the version that it is about, and counts for no other. Fields that later versions of fmnist
added have a default, so that older records can be read.
"""

import dataclasses
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from fmnist.domain.model.errors import CorruptModel, InvalidSetting
from fmnist.domain.model.model import ModelVersion
from fmnist.domain.model.promotion.policy import Decision, Mode, PromotionPolicy, Rule

STAGED_FROM = "staged_from"
STAGED_AT = "staged_at"
RELEASED_FROM = "released_from"
REPLACES = "replaces"
PROMOTED_BY = "promoted_by"
PROMOTED_AT = "promoted_at"
SERVING_IMAGE = "serving_image"
NOBODY = "none"
_EARLIER_RATIO = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Record:
    """A record of the version `version` (a model URI), made at `at` (ISO 8601, UTC)."""

    TAG: ClassVar[str]

    version: str
    at: str

    def tag(self) -> dict[str, str]:
        """The record as the tags that hold it."""
        text = json.dumps(self._values())
        return {self.TAG: text, f"{self.TAG}_at_{self.at.replace(':', '')}": text}

    @classmethod
    def of(cls, version: ModelVersion) -> Self | None:
        """Return what is recorded of this very version, or None.

        Raises:
            CorruptModel: the tag is none of ours.
        """
        found = cls.read(version)
        return found if found is not None and found.version == version.uri else None

    @classmethod
    def read(cls, version: ModelVersion) -> Self | None:
        """Return the record that the version carries, be it its own or its source's; raises as `of` does."""
        text = version.tags.get(cls.TAG)
        if text is None:
            return None
        try:
            return cls._parse(json.loads(text))
        except (ValueError, TypeError, KeyError, AttributeError, InvalidSetting) as error:
            raise CorruptModel(
                f"tag {cls.TAG} of {version.uri} is not as fmnist writes it ({error!r}): mend or remove it"
            ) from error

    @classmethod
    def all_of(cls, version: ModelVersion) -> list[Self]:
        """Return every record of this kind about this very version, oldest first; raises as `of` does."""
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
    """What a step of a promotion rests on: the champion of that moment (URI, None: nobody), and the policy."""

    champion: str | None
    policy: PromotionPolicy

    @classmethod
    def parse(cls, values: Mapping[str, Any] | None) -> Self | None:
        """Read it back from a record; one of an earlier version has none."""
        return None if values is None else cls(values["champion"], PromotionPolicy.from_mapping(values["policy"]))

    def changed_since(self, earlier: Self | None, names: Collection[str] | None = None) -> str:
        """Say why what rests on `earlier` does not count on this basis, or nothing where it does.

        Of the policies, `names` are the fields that matter; None: all.
        """
        if earlier is None:
            return "names no champion, for an earlier version of fmnist recorded it"
        if earlier.champion != self.champion:
            was, found = (each or "no champion" for each in (earlier.champion, self.champion))
            return f"was against {was}, and now it is {found}"
        other = earlier.policy.differences(self.policy, names)
        return other and f"was under another policy than the comparison: {other}"


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionRecord(_Record):
    """A decision about the challenger `version`.

    Attributes:
        champion: URI of the champion that it was compared with; None when there was none.
        mode, rules: of the decision.
        data_version, split: that both were measured on; None where a logged metric decided.
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
        """The champion and the policy that it was decided by, without the default ratio of earlier versions.

        That was near to what two sound networks measure, so chance decided. They knew no `max_latency_ms`.
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
    """What the test of a staged version found; it is passed when every check did.

    Attributes:
        basis: that it was tested on; None in records of earlier versions.
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
        """The outcome with what failed, in one line."""
        failed = [check.reason for check in self.checks if not check.passed]
        return "failed: " + "; ".join(failed) if failed else f"passed: {len(self.checks)} checks"

    @classmethod
    def _parse(cls, values: Mapping[str, Any]) -> Self:
        checks = tuple(Rule(**check) for check in values["checks"])
        return cls(**{**values, "checks": checks, "basis": Basis.parse(values.get("basis"))})


@dataclass(frozen=True, slots=True, kw_only=True)
class Approval(_Record):
    """Somebody, or in mode `automatic` the pipeline, lets the staged `version` be released.

    Attributes:
        basis: that it was approved on; None in records of earlier versions.
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
    """The champion `version` is taken back in favour of version number `to` of the same model.

    Attributes:
        ended: when both aliases had moved; None before that, and in records of earlier versions.
    """

    TAG: ClassVar[str] = "rollback"

    to: int
    by: str
    reason: str
    ended: str | None = None
