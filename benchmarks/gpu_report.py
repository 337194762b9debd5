"""Results of the GPU benchmark: one JSON file of all runs, and tables of them beside the goals."""

import json
import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Run = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Goal:
    """What a preset is meant to reach on one H100: mean accuracies over seeds, and mean training seconds.

    Attributes:
        epochs: None means those of the preset.
    """

    preset: str
    seeds: int
    test: float
    seconds: float = math.inf
    val: float = 0.0
    epochs: int | None = None


GOALS = (
    Goal("speedrun", seeds=5, test=0.94, seconds=3, val=0.946),
    Goal("small-1m", seeds=5, test=0.95, seconds=12, epochs=12),
    Goal("small-1m", seeds=5, test=0.954),
    Goal("best", seeds=5, test=0.96, seconds=180, epochs=30),
    Goal("best", seeds=3, test=0.969, seconds=480),
)


def merge(path: Path, run: Run) -> list[Run]:
    """Put a run into the file, in the place of one with the same preset, epochs and seed. Return all runs.

    Raises:
        ValueError: the file is there and holds no runs.
    """
    others = [each for each in read(path) if _key(each) != _key(run)]
    runs = sorted([*others, run], key=_key)
    path.parent.mkdir(parents=True, exist_ok=True)
    incoming = path.with_name(f"{path.name}.incoming")
    incoming.write_text(json.dumps({"runs": runs}, indent=1) + "\n", encoding="utf-8")
    incoming.replace(path)
    return runs


def read(path: Path) -> list[Run]:
    """Return the runs in the file; none if it is absent.

    Raises:
        ValueError: it holds no runs.
    """
    if not path.exists():
        return []
    try:
        runs: list[Run] = json.loads(path.read_text(encoding="utf-8"))["runs"]
        sorted(runs, key=_key)
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path} holds no results of this benchmark: {error!r}; name another --output") from error
    return runs


def table_of_runs(runs: Sequence[Run]) -> list[list[str]]:
    """Return table rows with the means of each preset and number of epochs over its seeds."""
    headings = "preset, epochs, parameters, seeds, val, test (range), first step s, training s (range), images/s"
    rows = [[*headings.split(", "), "over bare loop"]]
    for preset, epochs in dict.fromkeys((run["preset"], run["epochs"]) for run in runs):
        same = [run for run in runs if (run["preset"], run["epochs"]) == (preset, epochs)]
        test, seconds = ([run[name] for run in same] for name in ("test_acc", "training_seconds"))
        rows.append(
            [
                preset,
                str(epochs),
                f"{same[0]['parameters']:,}",
                str(len(same)),
                f"{mean(same, 'val_acc'):.2%}",
                f"{statistics.mean(test):.2%} ({min(test):.2%}-{max(test):.2%})",
                f"{mean(same, 'first_step_seconds'):.1f}",
                f"{statistics.mean(seconds):.2f} ({min(seconds):.2f}-{max(seconds):.2f})",
                f"{mean(same, 'images_per_second'):,.0f}",
                f"{mean(same, 'over_bare_loop'):.2f}",
            ]
        )
    return rows


def table_of_goals(runs: Sequence[Run], epochs_of: Mapping[str, int]) -> list[list[str]]:
    """Return table rows with each goal, and whether the runs meet it. `epochs_of` has the presets' own epochs."""
    rows = [["goal on one H100", "run", "seeds", "found", "met"]]
    for goal in GOALS:
        epochs = goal.epochs or epochs_of[goal.preset]
        same = [run for run in runs if (run["preset"], run["epochs"]) == (goal.preset, epochs)]
        found, met = "-", "not measured"
        if same:
            test, val, seconds = (mean(same, name) for name in ("test_acc", "val_acc", "training_seconds"))
            found = f"test {test:.2%}, val {val:.2%}, {seconds:.2f} s"
            reached = test >= goal.test and val >= goal.val and seconds <= goal.seconds
            met = ("yes" if reached else "no") if len(same) >= goal.seeds else "too few seeds"
        wanted = [f"test {goal.test:.1%}"]
        wanted += [f"val {goal.val:.1%}"] if goal.val else []
        wanted += [f"{goal.seconds:g} s"] if goal.seconds < math.inf else []
        rows.append([", ".join(wanted), f"{goal.preset}:{epochs}", f"{len(same)} of {goal.seeds}", found, met])
    return rows


def mean(runs: Sequence[Run], figure: str) -> float:
    return statistics.mean(float(run[figure]) for run in runs)


def _key(run: Run) -> tuple[str, int, int]:
    return run["preset"], run["epochs"], run["seed"]
