"""The words of promotion, as the platform uses them: stages that a model passes through, and the aliases that point.

What decides is in `policy.py`, what is written down about a promotion in `promotion_records.py`.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Self

from fmnist.domain.model.errors import InvalidSetting


class Stage(StrEnum):
    """Prefix of a registered model's name: `ci.NAME`, then `staging.NAME`, then `prod.NAME`; `dev.NAME` on a laptop."""

    DEV = "dev"
    CI = "ci"
    STAGING = "staging"
    PROD = "prod"


class Alias(StrEnum):
    """Names that point at one version of a registered model."""

    CANDIDATE = "candidate"
    CHAMPION = "champion"
    PREVIOUS = "previous"


@dataclass(frozen=True, slots=True)
class StagedName:
    """A registered model's name taken apart."""

    stage: Stage
    name: str

    @classmethod
    def parse(cls, registered: str) -> Self:
        """Read `STAGE.NAME`.

        Raises:
            InvalidSetting: no known stage, or no name after it.
        """
        prefix, _, name = registered.partition(".")
        if prefix not in set(Stage) or not name:
            stages = ", ".join(Stage)
            raise InvalidSetting(f"registered model {registered!r} must be STAGE.NAME with a stage of {stages}")
        return cls(Stage(prefix), name)

    def at(self, stage: Stage) -> Self:
        """The same model at another stage."""
        return type(self)(stage, self.name)

    def __str__(self) -> str:
        return f"{self.stage}.{self.name}"
