"""One training of a study: a trial of the search, or the same recipe again with another seed."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Self

from fmnist.domain.model.tuning.space import Value

START = 0  # the number of the trial that has the starting recipe


class TrialState(StrEnum):
    """State of a trial. One that an interruption left is RUNNING, until another process finishes it."""

    RUNNING = "running"
    COMPLETE = "complete"
    PRUNED = "pruned"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """A trial of a study.

    Attributes:
        number: number of the recipe in the study; 0 is the starting recipe.
        seed: seed of the training. The search has 0 only; another seed repeats the trial of this number.
        values: values of the searched fields.
        accuracies: `val_acc` of each epoch so far.
        seconds: time of the training, in seconds; 0 while it runs.
    """

    number: int
    seed: int = 0
    values: Mapping[str, Value]
    state: TrialState = TrialState.RUNNING
    accuracies: tuple[float, ...] = ()
    seconds: float = 0.0

    @property
    def accuracy(self) -> float | None:
        """Highest `val_acc`, which is that of the epoch that training would choose; None before the first epoch."""
        return max(self.accuracies, default=None)

    def after(self, epoch: int, accuracy: float) -> Self:
        """Return the trial with the `val_acc` of this 0-based epoch. Later epochs are forgotten."""
        return replace(self, accuracies=(*self.accuracies[:epoch], accuracy))

    def repeated(self, seed: int) -> Self:
        """Return a new trial of the same recipe with another seed."""
        return replace(self, seed=seed, state=TrialState.RUNNING, accuracies=(), seconds=0.0)
