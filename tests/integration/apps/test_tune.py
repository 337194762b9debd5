"""`fmnist tune` with the real compute, Optuna and MLflow, on toy data: the result, interrupts, and what is refused."""

import re
import signal
from pathlib import Path

import pytest

from fmnist.apps.train import read_recipe
from tests.integration.apps.command import Command
from tests.integration.apps.here import Here

PRESET = 'architecture = "cnn"\noptimizer = "sgd"\nlr = 0.02\nbatch_size = 16\nmax_epochs = 2\n'
SPACE = "lr = {low = 0.001, high = 0.1, log = true}\nflip = [true, false]\n"


@pytest.fixture
def tune(command: Command) -> tuple[str, ...]:
    (command.home / "quick.toml").write_text(PRESET)
    (command.home / "space.toml").write_text(SPACE)
    return "tune", "--preset", "quick.toml", "--space", "space.toml", "--seeds", "2"


def test_study_is_interrupted_continued_and_gives_a_recipe(command: Command, tune: tuple[str, ...]) -> None:
    started = command.start(*tune, "--trials", "4")
    started.wait_for("trial 0 complete")
    started.send(signal.SIGTERM)
    code, said = started.end()
    assert code == 143
    assert said.splitlines()[-1] == "terminated"
    assert "RUNNING" not in {run.info.status for run in command.runs()}

    here = Here(command)
    found = here.json(*tune, "--trials", "4")
    assert [trial["number"] for trial in found["trials"]] == [0, 1, 2, 3]
    recipe = Path(found["recipe"])
    assert recipe.is_relative_to(command.home / "studies" / found["study"])
    assert read_recipe(str(recipe)).max_epochs == 2
    assert {path.name for path in recipe.parent.iterdir()} >= {"recipe.toml", "report.html", "history.svg"}
    (study,) = (run for run in command.runs() if "mlflow.parentRunId" not in run.data.tags)
    assert (study.info.run_id, study.info.status) == (found["run_id"], "FINISHED")
    trials = [run for run in command.runs() if run.data.tags.get("mlflow.parentRunId") == found["run_id"]]
    assert len(trials) == len(command.runs()) - 1
    assert sorted({run.info.status for run in trials} - {"KILLED"}) == ["FINISHED"]
    assert not list((command.home / "checkpoints").glob("[0-9a-f]*")), "no checkpoint of a trial stays"
    assert command.versions() == [], "no trial is a model"

    code, out, err = here(*tune, "--trials", "4")
    assert code == 0, err
    assert "fmnist train --preset " in out
    assert "trial 4" not in err, "a finished study is only shown"
    assert "was not begun by fmnist train" in here.refused("train", "--resume", trials[0].info.run_id)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--space", "absent.toml"), "space file absent.toml cannot be used: .*No such file"),
        (("--space", "quick.toml"), "space file quick.toml cannot be used: .*cannot be searched: expected some of lr"),
        (("--preset", "absent.toml"), "preset 'absent.toml' is none of fast"),
        (("--trials", "1"), "--trials must be at least 2, found 1"),
        (("--minutes", "-1"), "--minutes must be a finite number above 0, found -1"),
        (("--minutes", "nan"), "--minutes must be a finite number above 0, found nan"),
        (("--seeds", "1"), "--seeds must be at least 2, found 1"),
    ],
)
def test_impossible_search_is_refused_in_one_line(
    command: Command, tune: tuple[str, ...], arguments: tuple[str, ...], said: str
) -> None:
    before = sorted(command.home.iterdir())
    assert re.search(said, Here(command).refused(*tune, *arguments))
    assert sorted(command.home.iterdir()) == before


def test_default_space_is_refused_for_another_optimizer(command: Command) -> None:
    said = Here(command).refused("tune", "--preset", "resnet18", "--trials", "2")
    assert "is for the optimizer sgd, and the preset resnet18 has adamw: pass a file" in said


def test_folder_that_cannot_be_made_is_named_before_the_search(command: Command, tune: tuple[str, ...]) -> None:
    (command.home / "studies").touch()
    said = Here(command).refused(*tune, "--trials", "2")
    assert re.search("the folder of studies .*/studies cannot be created or written", said)
    assert command.runs() == []
