"""A made-up study, for tests of what shows one."""

import numpy as np

from fmnist.domain.model.training.presets import PRESETS
from fmnist.domain.model.tuning.budget import Budget
from fmnist.domain.model.tuning.result import TuningResult, TuningTask
from fmnist.domain.model.tuning.space import Choices, Range, SearchSpace
from fmnist.domain.model.tuning.trial import Trial, TrialState

SPACE = SearchSpace(
    {"lr": Range(0.01, 1.0, log=True), "shift": Range(0, 3), "architecture": Choices(("cnn", "cnn-wide"))}
)
TASK = TuningTask(label="fast", start=PRESETS["fast"], space=SPACE, budget=Budget(trials=14, seconds=900.0))


def a_study(trials: int = 14, seeds: int = 4) -> TuningResult:
    """A study whose trial 5 is the best. Every third trial is pruned, and trial 4 failed."""
    noise = np.random.default_rng(0)
    search = [_trial(number, noise) for number in range(trials)]
    again = [
        Trial(
            number=number,
            seed=seed,
            values=search[number].values,
            state=TrialState.COMPLETE,
            accuracies=(0.9, (0.937 if number == 5 else 0.93) + 0.002 * noise.normal()),
            seconds=61.0,
        )
        for number in (0, 5, 7)
        if number < trials
        for seed in range(1, seeds)
    ]
    return TuningResult(
        task=TASK,
        study="fast-v1.0.0-0a1b2c3d",
        data_version="fashion-mnist-v1.0.0",
        run_id="0170b3fc35894bce9b76bce80a8e909d",
        trials=[*search, *again],
        importance={"architecture": 0.6, "lr": 0.3, "shift": 0.1} if trials > 8 else {},
        seconds=872.0,
    )


def _trial(number: int, noise: np.random.Generator) -> Trial:
    if number == 0:
        return Trial(
            number=0,
            values=SPACE.values_of(TASK.start),
            state=TrialState.COMPLETE,
            accuracies=(0.85, 0.93),
            seconds=60.0,
        )
    wide = number % 4 == 1
    values = {"lr": float(noise.uniform(0.02, 1)), "shift": number % 3, "architecture": "cnn-wide" if wide else "cnn"}
    if number == 4:
        return Trial(number=4, values=values, state=TrialState.FAILED, seconds=1.0)
    if number % 3 == 2 and number != 5:
        return Trial(number=number, values=values, state=TrialState.PRUNED, accuracies=(0.78,), seconds=14.0)
    accuracy = (0.94 if number == 5 else 0.925) + 0.003 * float(noise.normal())
    return Trial(
        number=number,
        values=values,
        state=TrialState.COMPLETE,
        accuracies=(0.8, accuracy),
        seconds=170.0 if wide else 60.0 + number,
    )
