"""Counts that all replicas of a service add up, by a key such as a pair of versions."""

from abc import abstractmethod
from collections.abc import Hashable, Iterable
from typing import Protocol, Self, TypeVar


class Tally(Protocol):
    """Counts that can be added up. Any division of the same work gives the same sum."""

    @classmethod
    @abstractmethod
    def joined(cls, each: Iterable[Self]) -> Self:
        """Return the sum of these counts; empty counts for none."""


AnyTally = TypeVar("AnyTally", bound=Tally)


class Tallies(Protocol[AnyTally]):
    """Adds up tallies of one kind. It may forget a key when many others were counted since.

    Every method raises `StoreUnavailable` when it does not answer.
    """

    @abstractmethod
    def add(self, key: Hashable, tally: AnyTally) -> None:
        """Add counts to those of this key."""

    @abstractmethod
    def total(self, key: Hashable) -> AnyTally:
        """Return all counts of this key. They may be empty."""
