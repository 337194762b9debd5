"""A study that draws values at random and keeps its trials in a list."""

import random
from collections.abc import Mapping

from fmnist.domain.model.tuning.space import Choices, Range, SearchSpace, Value
from fmnist.domain.model.tuning.trial import START, Trial, TrialState
from fmnist.ports.study import Study


class MemoryStudy(Study):
    """A `Study` without a model. It ends a trial that is worse than the starting recipe was at the same epoch.

    Args:
        start: values of the starting recipe.
        before: the study of an earlier process, which this one continues.
    """

    def __init__(self, space: SearchSpace, start: Mapping[str, Value], before: "MemoryStudy | None" = None) -> None:
        self._space = space
        self._start = start
        earlier = before.trials() if before else []
        self._kept = {(trial.number, trial.seed): trial for trial in earlier}
        self._left = [one for one in self._kept.values() if one.state is TrialState.RUNNING]

    def ask(self) -> Trial:
        if self._left:
            return self._left.pop(0)
        number = sum(seed == 0 for _, seed in self._kept)
        drawn = random.Random(number)  # noqa: S311 - it protects nothing
        values = {name: _drawn(drawn, one) for name, one in self._space.dimensions.items()}
        return self._keep(Trial(number=number, values=values if number else self._start))

    def report(self, trial: Trial) -> bool:
        self._keep(trial)
        best = self._kept[START, 0].accuracies[: len(trial.accuracies)]
        return len(best) == len(trial.accuracies) and trial.accuracies[-1] < best[-1]

    def tell(self, trial: Trial) -> None:
        self._keep(trial)

    def trials(self) -> list[Trial]:
        return sorted(self._kept.values(), key=lambda trial: trial.seed > 0)

    def importance(self) -> Mapping[str, float]:
        complete = [trial for trial in self._kept.values() if trial.state is TrialState.COMPLETE]
        return {name: 1 / len(self._start) for name in self._start} if len(complete) > 1 else {}

    def _keep(self, trial: Trial) -> Trial:
        self._kept[trial.number, trial.seed] = trial
        return trial


def _drawn(source: random.Random, dimension: Range | Choices) -> Value:
    if isinstance(dimension, Choices):
        return source.choice(dimension.values)
    if isinstance(dimension.low, int):
        return source.randint(dimension.low, int(dimension.high))
    return source.uniform(dimension.low, dimension.high)
