"""Results of the GPU benchmark are merged, and compared with the goals."""

from pathlib import Path
from typing import Any

import pytest

from benchmarks.gpu_report import GOALS, Goal, merge, read, table_of_goals, table_of_runs
from fmnist.domain.model.training.presets import PRESETS

EPOCHS = {name: recipe.max_epochs for name, recipe in PRESETS.items()}


def figures(preset: str = "speedrun", seed: int = 0, **changes: Any) -> dict[str, Any]:
    return {
        "preset": preset,
        "epochs": EPOCHS[preset],
        "seed": seed,
        "parameters": 1000,
        "first_step_seconds": 20.0,
        "training_seconds": 2.0,
        "val_acc": 0.95,
        "test_acc": 0.945,
        "images_per_second": 1e5,
        "over_bare_loop": 1.25,
        **changes,
    }


def met(runs: list[dict[str, Any]]) -> str:
    """Return whether the first goal, that of `speedrun`, is met."""
    return table_of_goals(runs, EPOCHS)[1][-1]


def test_a_run_replaces_the_one_with_the_same_preset_epochs_and_seed(tmp_path: Path) -> None:
    path = tmp_path / "results" / "gpu.json"
    runs = [figures(seed=1), figures(), figures(epochs=5), figures("best")]
    for each in [*runs, figures(test_acc=0.9)]:
        merge(path, each)
    assert read(path) == [figures("best"), figures(epochs=5), figures(test_acc=0.9), figures(seed=1)]
    assert [each.name for each in path.parent.iterdir()] == [path.name]


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"runs": 1}', '{"runs": [{}]}'])
def test_a_file_without_results_is_named_and_not_replaced(tmp_path: Path, content: str) -> None:
    path = tmp_path / "mine.json"
    path.write_text(content)
    with pytest.raises(ValueError, match=r"mine\.json holds no results of this benchmark: .*; name another --output"):
        merge(path, figures())
    assert path.read_text() == content


def test_the_table_has_the_mean_and_the_range_over_seeds() -> None:
    _, row, other = table_of_runs([figures(test_acc=0.94), figures(seed=1, test_acc=0.95), figures("best")])
    assert row[:6] == ["speedrun", "10", "1,000", "2", "95.00%", "94.50% (94.00%-95.00%)"]
    assert row[6:] == ["20.0", "2.00 (2.00-2.00)", "100,000", "1.25"]
    assert other[0] == "best"


def test_a_goal_is_met_by_the_means_over_enough_seeds() -> None:
    runs = [figures(seed=seed) for seed in range(5)]
    assert met([]) == "not measured"
    assert met(runs[:4]) == "too few seeds"
    assert met(runs) == "yes"
    assert met([*runs[:4], figures(seed=4, epochs=3)]) == "too few seeds"


@pytest.mark.parametrize("change", [{"test_acc": 0.9}, {"val_acc": 0.9}, {"training_seconds": 9.0}])
def test_a_goal_is_missed_if_one_mean_is(change: dict[str, float]) -> None:
    assert met([*(figures(seed=seed) for seed in range(4)), figures(seed=4, **change)]) == "no"


def test_a_goal_without_seconds_is_met_in_any_time() -> None:
    slow = [figures("small-1m", seed=seed, test_acc=0.96, training_seconds=1e6) for seed in range(5)]
    assert [row[-1] for row in table_of_goals(slow, EPOCHS) if "95.4%" in row[0]] == ["yes"]


@pytest.mark.parametrize("goal", GOALS)
def test_each_goal_names_a_preset_for_a_gpu(goal: Goal) -> None:
    assert PRESETS[goal.preset].compile
