"""The platform's terms of promotion: the stages of a model, and the aliases of its versions.

The rules of a decision are in `policy.py`, and the records of a promotion in `records.py`.
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
    """A registered model's name, split into stage and name."""

    stage: Stage
    name: str

    @classmethod
    def parse(cls, registered: str) -> Self:
        """Parse `STAGE.NAME`.

        Raises:
            InvalidSetting: the stage is unknown, or the name after it is missing.
        """
        prefix, _, name = registered.partition(".")
        if prefix not in set(Stage) or not name:
            stages = ", ".join(Stage)
            raise InvalidSetting(f"registered model {registered!r} must be STAGE.NAME, and STAGE one of {stages}")
        return cls(Stage(prefix), name)

    def at(self, stage: Stage) -> Self:
        """Return the name of the same model at another stage."""
        return type(self)(stage, self.name)

    def __str__(self) -> str:
        return f"{self.stage}.{self.name}"
