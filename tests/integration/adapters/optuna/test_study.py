"""Studies in Optuna's database."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from fmnist.adapters.optuna.study import OptunaStudy
from fmnist.domain.model.errors import StoreUnavailable
from fmnist.domain.model.tuning.trial import TrialState
from fmnist.testing.contracts.study import EPOCHS, SPACE, START, StudyContract

# Asks for a trial, and is killed while it runs.
KILLED = """
import os, signal, sys
from pathlib import Path
from fmnist.adapters.optuna.study import OptunaStudy
from fmnist.testing.contracts.study import EPOCHS, SPACE, START
study = OptunaStudy(Path(sys.argv[1]), "toy", SPACE, START, EPOCHS)
study.report(study.ask().after(0, 0.5))
os.kill(os.getpid(), signal.SIGKILL)
"""


class TestOptunaStudy(StudyContract):
    @pytest.fixture
    def reopen(self, tmp_path: Path) -> Callable[[], OptunaStudy]:
        return lambda: OptunaStudy(tmp_path / "new" / "studies.db", "toy", SPACE, START, EPOCHS)


def test_trial_of_a_killed_process_is_asked_again(tmp_path: Path) -> None:
    file = tmp_path / "studies.db"
    process = subprocess.run([sys.executable, "-c", KILLED, str(file)], env=dict(os.environ), check=False, timeout=120)
    assert process.returncode == -signal.SIGKILL
    (left,) = OptunaStudy(file, "toy", SPACE, START, EPOCHS).trials()
    assert (left.state, left.accuracies) == (TrialState.RUNNING, (0.5,))
    assert OptunaStudy(file, "toy", SPACE, START, EPOCHS).ask() == left


@pytest.mark.parametrize("earlier", [0, 1])
def test_trial_of_a_process_that_was_killed_between_two_values_is_no_trial(tmp_path: Path, earlier: int) -> None:
    file = tmp_path / "studies.db"
    study = OptunaStudy(file, "toy", SPACE, START, EPOCHS)
    for _ in range(earlier):
        study.tell(replace(study.ask(), state=TrialState.FAILED))
    study._study.ask().suggest_float("lr", 0.01, 1.0, log=True)
    again = OptunaStudy(file, "toy", SPACE, START, EPOCHS)
    assert len(again.trials()) == earlier
    asked = again.ask()
    assert (asked.number, asked.values == START) == (earlier, earlier == 0)
    assert OptunaStudy(file, "toy", SPACE, START, EPOCHS).ask() == asked


def test_continued_studies_do_not_begin_with_the_same_random_values_again(tmp_path: Path) -> None:
    rates = []
    for _ in range(4):
        study = OptunaStudy(tmp_path / "studies.db", "toy", SPACE, START, EPOCHS)
        trial = study.ask()
        study.tell(replace(trial, state=TrialState.FAILED))
        rates.append(trial.values["lr"])
    assert len(set(rates)) == 4


def test_trial_that_falls_behind_ends_at_a_quarter_of_its_epochs_rounded_up(tmp_path: Path) -> None:
    study = OptunaStudy(tmp_path / "studies.db", "toy", SPACE, START, epochs=10)
    for accuracy in (0.9, 0.9, 0.1):
        trial, judged = study.ask(), list[bool]()
        for epoch in range(4):
            trial = trial.after(epoch, accuracy)
            judged.append(study.report(trial))
    assert judged.index(True) + 1 == 3


def test_lost_storage_is_named(tmp_path: Path) -> None:
    study = OptunaStudy(tmp_path / "studies.db", "toy", SPACE, START, EPOCHS)
    (tmp_path / "studies.db").write_text("this is no database, and " * 100)
    with pytest.raises(StoreUnavailable, match="cannot be kept"):
        study.importance()


def test_studies_of_one_file_do_not_mix(tmp_path: Path) -> None:
    one, other = (OptunaStudy(tmp_path / "studies.db", name, SPACE, START, EPOCHS) for name in ("one", "other"))
    one.ask()
    assert other.trials() == []


def test_unusable_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "studies.db").write_text("this is no database, and " * 100)
    with pytest.raises(StoreUnavailable, match=r"the study cannot be kept in .*studies.db: .*not a database"):
        OptunaStudy(tmp_path / "studies.db", "toy", SPACE, START, EPOCHS)
    with pytest.raises(StoreUnavailable, match=r"cannot be kept in /dev/null/studies\.db"):
        OptunaStudy(Path("/dev/null/studies.db"), "toy", SPACE, START, EPOCHS)
