"""A canary: a staged version, the challenger, that answers a share of a service's requests before its release."""

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, Self

from fmnist.domain.model.errors import InvalidSetting
from fmnist.domain.model.model import ModelUri
from fmnist.domain.model.validation import check

_BYTES = 8


@dataclass(frozen=True, slots=True)
class Canary:
    """A challenger and its share of the requests.

    Attributes:
        model_uri: the version, `models:/NAME/VERSION`. An alias could mean another version on each replica.
        percent: share of the requests, a whole number in [0, 100].

    Raises:
        InvalidSetting: a value is not allowed.
    """

    model_uri: str
    percent: int

    def __post_init__(self) -> None:
        is_version = isinstance(self.model_uri, str) and ModelUri.parse(self.model_uri).version is not None
        check(is_version, "canary.model_uri", "models:/NAME/VERSION", self.model_uri)
        is_percent = type(self.percent) is int and 0 <= self.percent <= 100
        check(is_percent, "canary.percent", "a whole number in [0, 100]", repr(self.percent)[:40])

    @classmethod
    def parse(cls, values: Any) -> Self:
        """Read `{model_uri, percent}` from a configuration; raises as the class does."""
        if not isinstance(values, Mapping) or set(values) != {"model_uri", "percent"}:
            raise InvalidSetting("canary must have model_uri and percent, and nothing else")
        return cls(values["model_uri"], values["percent"])

    def takes(self, request_id: str) -> bool:
        """Return whether the challenger answers the request with this id.

        An id always gets the same result. A larger share also has all ids of a smaller one.
        """
        hashed = int.from_bytes(blake2b(request_id.encode(), digest_size=_BYTES).digest(), "big")
        return 100 * hashed < self.percent << 8 * _BYTES

    def __str__(self) -> str:
        return f"{self.model_uri} at {self.percent} %"
