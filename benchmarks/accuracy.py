"""What each preset learns and how long it takes; and how long the contract's recipe takes to the same accuracy."""

import statistics
from collections.abc import Sequence

from running import Run, run

TARGET = 0.9
NEVER = "2"  # no accuracy is so high that it ends training early


def to_target(environment: dict[str, str], epochs: int, seeds: int, baseline_epochs: int) -> dict[str, list[Run]]:
    """Train `fast` in so few epochs that it just gets there, with several seeds, and once the contract's recipe.

    The latter has a constant learning rate, so that it ends at the first epoch that is good enough; it stands between
    the others, so that they show whether the machine changed meanwhile.
    """
    measured: dict[str, list[Run]] = {"fast": [], "resnet18": []}
    for seed in range(seeds):
        measured["fast"].append(run(environment, "learn", "fast", str(seed), str(epochs), NEVER))
        if seed == 1 and baseline_epochs:
            flags = ("0", str(baseline_epochs), str(TARGET))
            measured["resnet18"].append(run(environment, "learn", "resnet18", *flags))
    return measured


def of_presets(environment: dict[str, str], presets: Sequence[str], seeds: int) -> dict[str, list[Run]]:
    """Train presets as they are, in turns."""
    measured: dict[str, list[Run]] = {preset: [] for preset in presets}
    for seed in range(seeds):
        for preset in presets:
            measured[preset].append(run(environment, "learn", preset, str(seed), "0", NEVER))
    return measured


def table_of_ratios(measured: dict[str, list[Run]]) -> list[list[str]]:
    """Return rows of how many times as long the contract's recipe took as `fast`, seed by seed."""
    rows = [["to 90 %", "min", "median", "max", "goal", "resnet18", "fast"]]
    for title, figure in (("seconds", "seconds"), ("CPU seconds", "cpu_seconds")):
        for baseline in measured["resnet18"]:
            ratios = [baseline[figure] / each[figure] for each in measured["fast"]]
            spread = [f"{value:.1f}" for value in (min(ratios), statistics.median(ratios), max(ratios))]
            own = "  ".join(f"{each[figure]:.1f}" for each in measured["fast"])
            rows.append([title, *spread, "25.0", f"{baseline[figure]:.0f}", own])
    return rows


def table_of_presets(measured: dict[str, list[Run]]) -> list[list[str]]:
    """Return rows of the accuracy of each preset over its seeds."""
    rows = [["preset", "seeds", "epochs", "test mean", "sd", "min", "max", "val mean", "seconds (median)"]]
    for preset, runs in measured.items():
        if not runs:
            continue
        test, val = [each["test_acc"] for each in runs], [max(each["val_acc"]) for each in runs]
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
                f"{statistics.median(each['seconds'] for each in runs):.0f}",
            ]
        )
    return rows
