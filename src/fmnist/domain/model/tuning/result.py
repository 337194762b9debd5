"""What is tuned, and what came out of it."""

import dataclasses
import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from fmnist.domain.model.data.data_version import TAG_PREFIX
from fmnist.domain.model.data.dataset import DatasetVersion
from fmnist.domain.model.training.recipe import Recipe
from fmnist.domain.model.tuning.budget import Budget
from fmnist.domain.model.tuning.comparison import Comparison, Verdict
from fmnist.domain.model.tuning.space import SearchSpace, Value
from fmnist.domain.model.tuning.trial import START, Trial, TrialState

RECIPE_FILE = "recipe.toml"
PAGE_FILE = "report.html"


@dataclass(frozen=True, slots=True, kw_only=True)
class TuningTask:
    """What to search.

    Attributes:
        label: short name of the starting recipe.
        start: the starting recipe, whose values `space` includes.
        data_version: version of the data; None is the newest.
    """

    label: str
    start: Recipe
    space: SearchSpace
    budget: Budget
    data_version: str | None = None

    def study(self, dataset: DatasetVersion) -> str:
        """Return the name of the study. Another recipe, space or data give another study, the budget does not."""
        identity = json.dumps([self.start.identity(), str(self.space), dataset.digest])
        digest = hashlib.sha256(identity.encode()).hexdigest()[:8]
        return f"{self.label}-v{dataset.version.removeprefix(TAG_PREFIX)}-{digest}"

    def recipe_of(self, trial: Trial) -> Recipe:
        """Return the recipe that a trial is trained by."""
        return self.space.recipe(self.start, trial.values)

    def changes(self, trial: Trial) -> dict[str, Value]:
        """Return the values of a trial's recipe that differ from the starting recipe."""
        recipe, before = self.recipe_of(trial), self.space.values_of(self.start)
        return {name: value for name, value in self.space.values_of(recipe).items() if value != before[name]}

    def described(self, trial: Trial) -> str:
        """Return the changes as text."""
        return ", ".join(f"{name} {value}" for name, value in self.changes(trial).items()) or "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class TuningResult:
    """A study so far.

    Attributes:
        run_id: run of the study in the tracker.
        trials: trials of the search by number, then their repeats.
        importance: share of each field in the differences of accuracy; empty if unknown.
        seconds: time of the study, in seconds.
    """

    task: TuningTask
    study: str
    data_version: str
    run_id: str
    trials: Sequence[Trial]
    importance: Mapping[str, float]
    seconds: float

    @property
    def search(self) -> list[Trial]:
        """The trials of the search, by number."""
        return [trial for trial in self.trials if trial.seed == 0]

    @property
    def comparison(self) -> Comparison:
        """The finalists against the starting recipe."""
        return Comparison.of(self.trials)

    @property
    def chosen(self) -> Trial:
        """The trial whose recipe is the result.

        It has the highest mean over the seeds. While that is unknown, it has the highest accuracy of the search.
        """
        found = self.comparison
        if found.best is None:
            complete = [trial for trial in self.search if trial.state is TrialState.COMPLETE]
            return max(complete, key=lambda trial: (trial.accuracy or 0.0, -trial.number))
        number = found.best.number if found.difference > 0 else START
        return self.search[number]

    @property
    def recipe(self) -> Recipe:
        """The recipe of the chosen trial."""
        return self.task.recipe_of(self.chosen)

    def state(self, trial: Trial) -> str:
        """Return the state of a trial as a word. A study at rest has no running trial, only interrupted ones."""
        return "interrupted" if trial.state is TrialState.RUNNING else trial.state.value

    def verdict(self) -> str:
        """Return the verdict for people, with what to do if there is none."""
        more = " The same command with a larger budget continues this study."
        return str(self.comparison) + (more if self.comparison.verdict in {Verdict.UNKNOWN, Verdict.NOISE} else "")

    def recipe_toml(self) -> str:
        """Return the recipe as a preset file."""
        values = dataclasses.asdict(self.recipe)
        number = self.chosen.number
        return "".join(
            [
                f"# Trial {number} of the study {self.study}{', the starting recipe' if number == START else ''}.\n",
                f"# {self.verdict()}\n",
                # TOML has no null.
                *(f"{name} = {json.dumps(value)}\n" for name, value in values.items() if value is not None),
            ]
        )


RenderTuning = Callable[[TuningResult], Mapping[str, bytes]]
"""Draws the report of a study. Returns the files by relative path, with `report.html`."""
