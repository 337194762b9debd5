"""The budget of a study: how much is searched, and how much is kept for the comparison of the best on several seeds."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from fmnist.domain.model.tuning.trial import START, Trial, TrialState
from fmnist.domain.model.validation import check, check_count

FINALISTS = 3
_LEAST_SEEDS = 3  # with two, an interval is ten times as wide as the spread
_MOST_SEEDS = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """The limits of a study, over all processes that continue it.

    Attributes:
        trials: trials of the search, with the starting recipe; None is no limit.
        seconds: time of the whole study; None is no limit.
        seeds: seeds of each finalist and of the starting recipe, two or more. Time may end before.
    """

    trials: int | None = None
    seconds: float | None = None
    seeds: int = 5

    def __post_init__(self) -> None:
        check((self.trials, self.seconds) != (None, None), "a budget", "trials or a time", "neither")
        if self.trials is not None:
            check_count("trials", self.trials, least=2)
        if self.seconds is not None:
            check(0 < self.seconds < float("inf"), "a time", "above 0", self.seconds)
        check_count("seeds", self.seeds, least=2, most=_MOST_SEEDS)


@dataclass(frozen=True, slots=True)
class Plan:
    """What a study does next.

    Attributes:
        trials: all trials so far, also those that run.
        spent: seconds of the study so far.
        at_once: number of trials that run at the same time.
    """

    budget: Budget
    trials: Sequence[Trial]
    spent: float
    at_once: int = 1

    @property
    def may_search(self) -> bool:
        """Whether the budget has another trial of the search, and after it the comparison. The start is always one."""
        search = [trial for trial in self.trials if trial.seed == 0]
        if START not in {trial.number for trial in search}:
            return True
        if self.budget.trials is not None and len(search) >= self.budget.trials:
            return False
        ended = [trial.seconds for trial in search if trial.state is not TrialState.RUNNING]
        if self.budget.seconds is None or not ended:
            return True
        leaders = self._ranked()[:1]
        kept = min(self.budget.seconds / 2, self._cost(leaders))
        return self.spent + sum(ended) / len(ended) + kept <= self.budget.seconds

    def finalists(self) -> list[int]:
        """Return the numbers of the best trials: as many as can be compared in the time, at least one, at most 3."""
        ranked = self._ranked()
        for count in range(min(FINALISTS, len(ranked)), 1, -1):
            if self._affords(self._cost(ranked[:count])):
                return [trial.number for trial in ranked[:count]]
        return [trial.number for trial in ranked[:1]]

    def next_repeat(self, finalists: Sequence[int]) -> Trial | None:
        """Return the next training that the comparison lacks, seed by seed; None if it is complete or time ends."""
        chosen = [trial for trial in self.trials if trial.seed == 0 and trial.number in finalists]
        for trial, seed in self._missing(chosen, self.budget.seeds):
            return trial.repeated(seed) if self._affords(trial.seconds) else None
        return None

    def _affords(self, seconds: float) -> bool:
        return self.budget.seconds is None or self.spent + seconds <= self.budget.seconds

    def _ranked(self) -> list[Trial]:
        """Return the complete trials other than the start, best first. Of equal values, only the first counts."""
        complete = [each for each in self.trials if each.seed == 0 and each.state is TrialState.COMPLETE]
        ranked, seen = list[Trial](), [each.values for each in complete if each.number == START]
        for trial in sorted(complete, key=lambda each: -(each.accuracy or 0.0)):
            if trial.values not in seen:
                seen.append(trial.values)
                ranked.append(trial)
        return ranked

    def _cost(self, finalists: Sequence[Trial]) -> float:
        """Return the seconds that a comparison with these finalists still needs, on a few seeds."""
        seeds = min(_LEAST_SEEDS, self.budget.seeds)
        return sum(trial.seconds for trial, _ in self._missing(finalists, seeds)) / self.at_once

    def _missing(self, finalists: Sequence[Trial], seeds: int) -> Iterator[tuple[Trial, int]]:
        """Return the trials of the search to repeat, each with a seed."""
        if not finalists:
            return
        begun = {(trial.number, trial.seed) for trial in self.trials}
        start = [trial for trial in self.trials if (trial.number, trial.seed) == (START, 0)]
        for seed in range(1, seeds + 1):
            # The search's own training counts for the start, so it needs one seed less.
            for trial in (*finalists, *(start if seed < seeds else ())):
                if (trial.number, seed) not in begun:
                    yield trial, seed
