"""Measures accuracy and time of each preset, and the time of the contract's recipe to the same accuracy."""

import statistics
from collections.abc import Sequence

from running import Run, run

TARGET = 0.9
NEVER = "2"  # above every accuracy, so that training never ends early


def to_target(environment: dict[str, str], seeds: int, baseline_epochs: int) -> dict[str, list[Run]]:
    """Train `sprint` with several seeds, and the contract's recipe once.

    The contract's recipe has a constant learning rate, so it can end at the first epoch that reaches the target. It
    runs between the others, which then show whether the machine's speed changed.
    """
    measured: dict[str, list[Run]] = {"sprint": [], "resnet18": []}
    for seed in range(seeds):
        measured["sprint"].append(run(environment, "learn", "sprint", str(seed), "0", NEVER))
        if seed == min(1, seeds - 1) and baseline_epochs:
            flags = ("0", str(baseline_epochs), str(TARGET))
            measured["resnet18"].append(run(environment, "learn", "resnet18", *flags))
    return measured


def of_presets(environment: dict[str, str], presets: Sequence[str], seeds: int) -> dict[str, list[Run]]:
    """Train presets unchanged, in turns."""
    measured: dict[str, list[Run]] = {preset: [] for preset in presets}
    for seed in range(seeds):
        for preset in presets:
            measured[preset].append(run(environment, "learn", preset, str(seed), "0", NEVER))
    return measured


def table_of_ratios(measured: dict[str, list[Run]]) -> list[list[str]]:
    """Return table rows with the time ratio of the contract's recipe to `sprint`, over the seeds.

    There are none if one of them missed the target: `sprint` by its mean on `test`, the contract's recipe on `val`.
    """
    rows = [["to 90 %", "mean", "min", "max", "goal", "resnet18", "sprint"]]
    short = [name for name, reached in reached_target(measured).items() if not reached]
    if short:
        return [*rows, [f"not reached by {', '.join(short)}", *["-"] * (len(rows[0]) - 1)]]
    for title, figure in (("seconds", "seconds"), ("CPU seconds", "cpu_seconds")):
        for baseline in measured["resnet18"]:
            ratios = [baseline[figure] / each[figure] for each in measured["sprint"]]
            spread = [f"{value:.1f}" for value in (statistics.mean(ratios), min(ratios), max(ratios))]
            own = "  ".join(f"{each[figure]:.1f}" for each in measured["sprint"])
            rows.append([title, *spread, "40.0", f"{baseline[figure]:.0f}", own])
    return rows


def reached_target(measured: dict[str, list[Run]]) -> dict[str, bool]:
    """Return, for each measured subject, whether it reached 90 %."""
    reached = {
        "sprint": [statistics.mean(each["test_acc"] for each in measured["sprint"])] if measured["sprint"] else [],
        "resnet18": [max(each["val_acc"]) for each in measured["resnet18"]],
    }
    return {name: min(accuracies) >= TARGET for name, accuracies in reached.items() if accuracies}


def table_of_presets(measured: dict[str, list[Run]]) -> list[list[str]]:
    """Return table rows with the accuracy of each preset over its seeds."""
    rows = [["preset", "seeds", "epochs", "test mean", "sd", "min", "max", "val mean", "seconds mean", "min", "max"]]
    for preset, runs in measured.items():
        if not runs:
            continue
        test, val = [each["test_acc"] for each in runs], [max(each["val_acc"]) for each in runs]
        seconds = [each["seconds"] for each in runs]
        deviation = f"{statistics.stdev(test):.2%}" if len(test) > 1 else "-"
        rows.append(
            [
                preset,
                str(len(runs)),
                str(max(len(each["val_acc"]) for each in runs)),
                f"{statistics.mean(test):.2%}",
                deviation,
                f"{min(test):.2%}",
                f"{max(test):.2%}",
                f"{statistics.mean(val):.2%}",
                *(f"{f(seconds):.1f}" for f in (statistics.mean, min, max)),
            ]
        )
    return rows
