"""A `Study` in Optuna: TPE proposes values, and asynchronous successive halving ends trials that fall behind.

Bergstra et al. 2011, "Algorithms for Hyper-Parameter Optimization"; Li et al. 2020, "A System for Massively Parallel
Hyperparameter Tuning". Optuna only proposes and remembers: fmnist trains.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.exceptions import StorageInternalError
from optuna.pruners import SuccessiveHalvingPruner
from optuna.samplers import TPESampler
from optuna.trial import FrozenTrial
from optuna.trial import TrialState as OptunaState
from sqlalchemy.exc import SQLAlchemyError

from fmnist.domain.model.errors import StoreUnavailable
from fmnist.domain.model.text import words_of
from fmnist.domain.model.tuning.space import Choices, Range, SearchSpace, Value
from fmnist.domain.model.tuning.trial import Trial, TrialState
from fmnist.ports.study import Study

_RANDOM_TRIALS = 5  # before TPE has a model. Optuna's default of 10 is more than many studies have time for
_LEAST_COMPLETE = 8  # below that, importance says nothing
_REPEATS, _SEED, _SECONDS = "repeats", "seed", "seconds"  # our attributes of Optuna's trials
_STATES = {
    OptunaState.RUNNING: TrialState.RUNNING,
    OptunaState.COMPLETE: TrialState.COMPLETE,
    OptunaState.PRUNED: TrialState.PRUNED,
    OptunaState.FAIL: TrialState.FAILED,
}
_OPTUNAS_STATES = {ours: theirs for theirs, ours in _STATES.items()}


class OptunaStudy(Study):
    """A study in an SQLite file, which is created if absent.

    A repeat of a trial is one more trial of Optuna. So the search learns from repeats, too.

    Args:
        name: name of the study in the file.
        start: values of the starting recipe.
        epochs: epochs of each trial. A trial can end after a quarter of them, rounded up, and after twice that.
    """

    def __init__(self, file: Path, name: str, space: SearchSpace, start: Mapping[str, Value], epochs: int) -> None:
        self._file = file
        self._space = {field: _distribution(one) for field, one in space.dimensions.items()}
        optuna.logging.disable_default_handler()
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        with self._translated():
            file.parent.mkdir(parents=True, exist_ok=True)
            self._study = optuna.create_study(
                storage=f"sqlite:///{file}",
                study_name=name,
                direction="maximize",
                load_if_exists=True,
                pruner=SuccessiveHalvingPruner(min_resource=-(-epochs // 4), reduction_factor=2),
            )
            known = self._study.get_trials(deepcopy=False)
            for one in known:
                if one.state is OptunaState.RUNNING and not self._is_whole(one):
                    self._study.tell(one.number, state=OptunaState.FAIL)
            # With one seed for all processes, each would begin with the same random values.
            self._study.sampler = TPESampler(n_startup_trials=_RANDOM_TRIALS, constant_liar=True, seed=len(known))
            if not self._search() and not any(one.state is OptunaState.WAITING for one in known):
                self._study.enqueue_trial(dict(start))
            self._live = dict[int, optuna.Trial]()
            self._left = [number for number, one in enumerate(self._search()) if one.state is OptunaState.RUNNING]

    def ask(self) -> Trial:
        with self._translated():
            if self._left:
                number = self._left.pop(0)
                # Optuna has no other way to take up a trial.
                live = optuna.Trial(self._study, self._search()[number]._trial_id)  # noqa: SLF001
            else:
                live = self._study.ask(self._space)
                number = len(self._search()) - 1
            self._live[number] = live
            return self._trial(self._search()[number], number)

    def report(self, trial: Trial) -> bool:
        epoch, live = len(trial.accuracies), self._live[trial.number]
        with self._translated():
            if epoch not in self._search()[trial.number].intermediate_values:
                live.report(trial.accuracies[-1], epoch)
            return live.should_prune()

    def tell(self, trial: Trial) -> None:
        value = trial.accuracy if trial.state is TrialState.COMPLETE else None
        with self._translated():
            if trial.seed:
                again = self._search()[trial.number]
                self._study.add_trial(
                    optuna.trial.create_trial(
                        state=_OPTUNAS_STATES[trial.state],
                        value=value,
                        params=again.params,
                        distributions=again.distributions,
                        user_attrs={_REPEATS: trial.number, _SEED: trial.seed, _SECONDS: trial.seconds},
                        intermediate_values=dict(enumerate(trial.accuracies, 1)),
                    )
                )
            else:
                live = self._live.pop(trial.number)
                live.set_user_attr(_SECONDS, trial.seconds)
                self._study.tell(live.number, value, _OPTUNAS_STATES[trial.state])

    def trials(self) -> list[Trial]:
        with self._translated():
            search, repeats = self._search(), [one for one in self._all() if _REPEATS in one.user_attrs]
            return [
                *(self._trial(one, number) for number, one in enumerate(search)),
                *(self._trial(one, one.user_attrs[_REPEATS]) for one in repeats),
            ]

    def importance(self) -> Mapping[str, float]:
        from optuna.importance import FanovaImportanceEvaluator, get_param_importances

        with self._translated():
            complete = [one.value for one in self._all() if one.state is OptunaState.COMPLETE]
            if len(complete) < _LEAST_COMPLETE or len({*complete}) == 1:
                return {}
            return get_param_importances(self._study, evaluator=FanovaImportanceEvaluator(seed=0))

    def _all(self) -> list[FrozenTrial]:
        return [one for one in self._study.get_trials(deepcopy=False) if one.state in _STATES]

    def _search(self) -> list[FrozenTrial]:
        """Return the trials of the search. The place in this list is our number."""
        return [one for one in self._all() if _REPEATS not in one.user_attrs and self._is_whole(one)]

    def _is_whole(self, one: FrozenTrial) -> bool:
        """Return whether a trial has all values. Optuna commits each alone, and a process may be killed between two."""
        return self._space.keys() <= one.params.keys()

    def _trial(self, one: FrozenTrial, number: int) -> Trial:
        return Trial(
            number=number,
            seed=one.user_attrs.get(_SEED, 0),
            values={name: one.params[name] for name in self._space},
            state=_STATES[one.state],
            accuracies=tuple(accuracy for _, accuracy in sorted(one.intermediate_values.items())),
            seconds=one.user_attrs.get(_SECONDS, 0.0),
        )

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except (SQLAlchemyError, StorageInternalError, OSError) as error:
            raise StoreUnavailable(
                f"the study cannot be kept in {self._file}: {words_of(error)}; check that the disk is writable"
            ) from error


def _distribution(dimension: Range | Choices) -> BaseDistribution:
    if isinstance(dimension, Choices):
        return CategoricalDistribution(dimension.values)
    if isinstance(dimension.low, int):
        return IntDistribution(dimension.low, int(dimension.high), log=dimension.log)
    return FloatDistribution(dimension.low, dimension.high, log=dimension.log)
