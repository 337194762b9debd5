"""Progress of a study: a line for each ended trial without a terminal, and a table that fits on one."""

from dataclasses import replace
from io import StringIO

import pytest
from rich.console import Console

from fmnist.apps.tuning_progress import TuningProgress
from fmnist.domain.model.tuning.trial import TrialState
from tests.unit.studies import TASK, a_study


def test_each_ended_trial_has_one_line_without_a_terminal() -> None:
    written, (start, other, *_) = StringIO(), a_study().trials
    with TuningProgress(Console(file=written, width=80), TASK) as progress:
        progress(replace(start, state=TrialState.RUNNING, accuracies=(0.5,)))
        progress(start)
        progress(replace(other, values={**other.values, "lr": 0.5, "architecture": "cnn-wide"}, accuracies=(0.8, 0.9)))
        progress(replace(other.repeated(3), state=TrialState.FAILED, seconds=2.0, values=start.values))
    assert written.getvalue().splitlines() == [
        "trial 0 complete  val acc 93.00%  2/8 epochs  60 s  changes: none",
        "trial 1 complete  val acc 90.00%  2/8 epochs  170 s  changes: lr 0.5, shift 1, architecture cnn-wide",
        "trial 1 seed 3 failed  0/8 epochs  2 s  changes: none",
    ]


@pytest.mark.parametrize(("width", "height"), [(80, 24), (120, 40), (100, 30)])
def test_table_fits_on_the_terminal_and_keeps_start_and_best(width: int, height: int) -> None:
    written = StringIO()
    console = Console(file=written, width=width, height=height, force_terminal=True, color_system=None)
    study = a_study(40)
    with TuningProgress(console, TASK) as progress:
        for trial in study.trials:
            progress(trial)
    last = written.getvalue().rsplit("changes", 1)[1].splitlines()
    assert len(last) <= height
    assert all(len(line.rstrip()) <= width for line in last)
    if width >= 80:
        assert any(line.startswith("5 ") for line in last), "the best"
        assert any(line.startswith("0 ") for line in last), "the start"
        assert any("40 trials, best of the search" in line for line in last)
