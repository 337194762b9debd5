"""The contract of every `Study`, whatever proposes its trials."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from fmnist.domain.model.tuning.space import Choices, Range, SearchSpace
from fmnist.domain.model.tuning.trial import Trial, TrialState
from fmnist.ports.study import Study

SPACE = SearchSpace(
    {
        "lr": Range(0.01, 1.0, log=True),
        "shift": Range(0, 2),
        "flip": Choices((True, False)),
        "architecture": Choices(("a", "b")),
    }
)
START = {"lr": 0.1, "shift": 1, "flip": True, "architecture": "b"}
EPOCHS = 8


class StudyContract:
    """Subclass it as `Test...` and supply `reopen`."""

    @pytest.fixture
    def reopen(self) -> Callable[[], Study]:
        """Open one study with SPACE, START and EPOCHS: new at the first call, and later as another process would."""
        raise NotImplementedError

    def test_first_trial_is_the_start_and_the_others_are_in_the_space(self, reopen: Callable[[], Study]) -> None:
        study = reopen()
        asked = [_trained(study, study.ask(), 0.5) for _ in range(12)]
        assert [trial.number for trial in asked] == list(range(12))
        assert asked[0].values == START
        for trial in asked:
            assert list(trial.values) == list(START)
            assert 0.01 <= float(trial.values["lr"]) <= 1.0
            assert trial.values["shift"] in {0, 1, 2}
            assert type(trial.values["flip"]) is bool
            assert trial.values["architecture"] in {"a", "b"}
        assert len({trial.values["lr"] for trial in asked}) > 9

    def test_everything_told_reads_back_in_another_process(self, reopen: Callable[[], Study]) -> None:
        study = reopen()
        told = [_trained(study, study.ask(), 0.75)]
        for state in (TrialState.PRUNED, TrialState.FAILED):
            trial = study.ask().after(0, 0.25)
            study.report(trial)
            told.append(replace(trial, state=state, seconds=3.0))
            study.tell(told[-1])
        told.append(replace(told[0].repeated(3), state=TrialState.COMPLETE, accuracies=(0.5, 0.625), seconds=8.0))
        study.tell(told[-1])
        told.append(replace(told[0].repeated(4), state=TrialState.FAILED, seconds=1.0))
        study.tell(told[-1])
        assert study.trials() == told
        assert reopen().trials() == told

    def test_search_goes_on_after_the_repeats_with_the_next_number(self, reopen: Callable[[], Study]) -> None:
        study = reopen()
        first = _trained(study, study.ask(), 0.75)
        study.tell(replace(first.repeated(1), state=TrialState.COMPLETE, accuracies=(0.5,)))
        second = _trained(reopen_study := reopen(), reopen_study.ask(), 0.5)
        assert second.number == 1
        assert [(trial.number, trial.seed) for trial in reopen_study.trials()] == [(0, 0), (1, 0), (0, 1)]

    def test_trial_that_a_process_left_is_asked_first_with_what_it_reached(self, reopen: Callable[[], Study]) -> None:
        study = reopen()
        start, other = study.ask(), study.ask()
        reached = other.after(0, 0.5).after(1, 0.625)
        study.report(other.after(0, 0.5))
        study.report(reached)
        again = reopen()
        assert [again.ask(), again.ask()] == [start, reached]
        assert again.ask().number == 2
        # Its training begins again, if its checkpoint is lost.
        again.report(reached.after(0, 0.5))
        again.tell(replace(reached, state=TrialState.COMPLETE, seconds=5.0))
        assert reopen().trials()[1] == replace(reached, state=TrialState.COMPLETE, seconds=5.0)

    def test_trial_that_falls_behind_is_too_bad_and_a_leader_is_not(self, reopen: Callable[[], Study]) -> None:
        study = reopen()
        for _ in range(4):
            _trained(study, study.ask(), 0.75)
        bad, good = study.ask(), study.ask()
        judged = []
        for epoch in range(EPOCHS):
            bad, good = bad.after(epoch, 0.1), good.after(epoch, 0.9)
            judged.append((study.report(good), study.report(bad)))
        assert not any(leader for leader, _ in judged)
        assert any(laggard for _, laggard in judged)

    def test_importance_is_shares_or_unknown(self, reopen: Callable[[], Study]) -> None:
        study = reopen()
        assert study.importance() == {}
        for _ in range(12):
            trial = study.ask()
            _trained(study, trial, 0.9 if trial.values["flip"] else 0.5)
        shares = study.importance()
        assert set(shares) == set(START)
        assert sum(shares.values()) == pytest.approx(1)


def _trained(study: Study, trial: Trial, accuracy: float) -> Trial:
    """Report all epochs of a trial, and tell that it is complete."""
    for epoch in range(EPOCHS):
        trial = trial.after(epoch, accuracy)
        study.report(trial)
    ended = replace(trial, state=TrialState.COMPLETE, seconds=1.5)
    study.tell(ended)
    return ended
