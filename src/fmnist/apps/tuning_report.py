"""The terminal output of a study: the verdict, the finalists, and the next command."""

import shlex
from collections import Counter
from pathlib import Path

from rich.table import Table

from fmnist.apps.terminal import print_pairs, stdout
from fmnist.domain.model.tuning.result import PAGE_FILE, RECIPE_FILE, TuningResult
from fmnist.domain.model.tuning.trial import START


def print_result(result: TuningResult, directory: Path) -> None:
    """Print the verdict and the finalists of a study, where its files are, and the next command."""
    console, found = stdout(), result.comparison
    if found.finalists:
        table = Table(box=None, padding=(0, 2, 0, 0))
        for column in ("recipe", "mean val acc", "spread", "seeds", "changes"):
            table.add_column(column, justify="left" if column in {"recipe", "changes"} else "right")
        for arm in (found.start, *found.finalists):
            table.add_row(
                "the start" if arm.number == START else f"trial {arm.number}",
                f"{arm.mean:.2%}",
                f"{100 * arm.spread:.2f} points",
                str(len(arm.accuracies)),
                result.task.described(result.search[arm.number]),
            )
        console.print(table)
        console.print()
    console.print(result.verdict())
    console.print()
    states = Counter(result.state(trial) for trial in result.search)
    number = result.chosen.number
    print_pairs(
        [
            ("study", result.study),
            ("trials", f"{len(result.search)}: " + ", ".join(f"{count} {state}" for state, count in states.items())),
            ("time", f"{result.seconds / 60:.1f} minutes"),
            ("chosen", "the starting recipe" if number == START else f"trial {number}"),
            ("recipe", shown(directory / RECIPE_FILE)),
            ("report", shown(directory / PAGE_FILE)),
            ("run", result.run_id),
        ]
    )
    console.print("\nNext:")
    console.print(f"  fmnist train --preset {shlex.quote(shown(directory / RECIPE_FILE))}", soft_wrap=True)


def shown(path: Path) -> str:
    """Return the path, relative to the working directory if it is below that."""
    here = Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)
