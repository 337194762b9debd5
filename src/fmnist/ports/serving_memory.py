"""The memory that the replicas of a deployment share, and that outlives each replica."""

import pickle
from abc import abstractmethod
from dataclasses import dataclass, fields
from typing import Any, Protocol, Self

from fmnist.ports.model_store import ModelPackage


@dataclass(frozen=True, slots=True)
class KeptModel:
    """A model that served: its URI, whether its normalization was compared with the data registry's, and its package.

    The package is pickled, so that the memory does not need its classes.
    """

    uri: str
    compared: bool
    pickled: bytes

    @classmethod
    def of(cls, package: ModelPackage, *, compared: bool) -> Self:
        """Pickle the package."""
        return cls(package.version.uri, compared, pickle.dumps(package))

    def package(self) -> ModelPackage:
        """Unpickle the package. May raise any error if another release of fmnist pickled it."""
        kept: ModelPackage = pickle.loads(self.pickled)  # noqa: S301 - our own bytes, written by `of`
        # A package of an earlier release lacks newer fields.
        values: dict[str, Any] = {each.name: getattr(kept, each.name, each.default) for each in fields(ModelPackage)}
        return ModelPackage(**values)


class ServingMemory(Protocol):
    """Remembers, for all replicas of a deployment, the version that they agreed on and the last good model.

    Every method raises `StoreUnavailable` when the memory does not answer.
    """

    @abstractmethod
    def expect(self, desired: str) -> None:
        """Note that `desired` is deployed now. The pin of any other model is forgotten, and none is accepted."""

    @abstractmethod
    def pinned(self, desired: str, max_age: float | None = None) -> str | None:
        """Return the URI of the version that `desired` is pinned to, if that is the last pin.

        None if there is no pin yet, or another `desired` was expected or pinned since. Also None if the pin is at least
        `max_age` seconds old.
        """

    @abstractmethod
    def pin(self, desired: str, uri: str) -> None:
        """Note that `desired`, such as an alias, now means the version at `uri`. It replaces the last pin.

        Does nothing if another `desired` is expected: the calling replica does not know that deploy yet.
        """

    @abstractmethod
    def remember(self, model: KeptModel) -> None:
        """Keep a model that was just checked and serves. It replaces the kept model."""

    @abstractmethod
    def last_good_id(self) -> tuple[str, bool] | None:
        """Return `uri` and `compared` of the kept model, without fetching it; None without one."""

    @abstractmethod
    def last_good(self, uri: str | None = None) -> KeptModel | None:
        """Return the kept model, or None without one. With `uri`, also None if it is another version."""
