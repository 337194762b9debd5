"""What the replicas of one deployment know in common, and what outlives each of them."""

import pickle
from abc import abstractmethod
from dataclasses import dataclass
from typing import Protocol, Self

from fmnist.ports.model_store import ModelPackage


@dataclass(frozen=True, slots=True)
class KeptModel:
    """A model that served: its version, whether its normalization was compared with the data registry's, and a package.

    The package is pickled, so that a memory does not need its classes.
    """

    uri: str
    compared: bool
    pickled: bytes

    @classmethod
    def of(cls, package: ModelPackage, *, compared: bool) -> Self:
        """Pickle the package."""
        return cls(package.version.uri, compared, pickle.dumps(package))

    def package(self) -> ModelPackage:
        """Unpickle the package; raises anything when another release of fmnist pickled it."""
        package: ModelPackage = pickle.loads(self.pickled)  # noqa: S301 - our own bytes, written by `of`
        return package


class ServingMemory(Protocol):
    """Remembers, for all replicas of a deployment, the version they agreed on and the last model that was good.

    Every method raises `StoreUnavailable` when the memory does not answer.
    """

    @abstractmethod
    def expect(self, desired: str) -> None:
        """Note that `desired` is what is deployed now: the pin of anything else is forgotten, and no other is taken."""

    @abstractmethod
    def pinned(self, desired: str, max_age: float | None = None) -> str | None:
        """Return the version's URI that `desired` was pinned to, when that was the last pin.

        None when another `desired` was expected or pinned since, or none was pinned yet, or when the pin is `max_age`
        seconds old or older.
        """

    @abstractmethod
    def pin(self, desired: str, uri: str) -> None:
        """Note that `desired`, such as an alias, now stands for the version at `uri`, in place of the pin before.

        Does nothing when another `desired` is expected: a replica that pins this one has not heard of that yet.
        """

    @abstractmethod
    def remember(self, model: KeptModel) -> None:
        """Keep the model that was just checked and serves, in place of the one that was kept before."""

    @abstractmethod
    def last_good_id(self) -> tuple[str, bool] | None:
        """Return `uri` and `compared` of the model that `last_good` would return, without fetching it."""

    @abstractmethod
    def last_good(self, uri: str | None = None) -> KeptModel | None:
        """Return the model that is kept, or None; also None when it is not the version at `uri`, where one is given."""
