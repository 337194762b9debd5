"""A study: proposes trials, judges their progress, and remembers them."""

from abc import abstractmethod
from collections.abc import Mapping
from typing import Protocol

from fmnist.domain.model.tuning.trial import Trial


class Study(Protocol):
    """The search for values with a high `val_acc`. It is stored, and one process at a time uses it.

    Every method raises `StoreUnavailable` if the storage cannot be read or written.
    """

    @abstractmethod
    def ask(self) -> Trial:
        """Return a trial to train. The first one has the values of the starting recipe.

        A trial that an earlier process left RUNNING comes first, with the accuracies that it reached.
        """

    @abstractmethod
    def report(self, trial: Trial) -> bool:
        """Record the last accuracy of a trial of the search. Return whether the trial is too bad to continue."""

    @abstractmethod
    def tell(self, trial: Trial) -> None:
        """Record the end of a trial, which `ask` returned or which repeats one with another seed."""

    @abstractmethod
    def trials(self) -> list[Trial]:
        """Return the trials of the search by number, also those that run, and then their repeats."""

    @abstractmethod
    def importance(self) -> Mapping[str, float]:
        """Return the share of each field in the differences of accuracy, the greatest first; empty if unknown."""
