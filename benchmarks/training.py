"""Measures the overhead of training over a lower bound, and its time to 90 % accuracy.

Timings on one machine can change by 2-3 times within minutes, so only ratios of neighbouring runs mean anything. The
subjects take turns, and each ratio is of two neighbours. Prints tables and appends the raw figures to results/.
"""

import argparse
import json
import os
import statistics
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from accuracy import of_presets, table_of_presets, table_of_ratios, to_target
from reporting import append, machine, print_table
from running import Run, environment_of_subjects, run
from subjects import FIRST_STEP

from fmnist.domain.model.training.presets import PRESETS

PARTS = ("start", "epoch", "scaling", "target", "presets")
RESULTS = Path(__file__).parent / "results" / "training.jsonl"

Round = dict[str, Run]


@dataclass(frozen=True)
class Ratio:
    """One line of the table: a figure of a subject divided by that of its lower bound, in every round."""

    title: str
    subject: str
    floor: str
    figure: Callable[[Run], float]
    goal: str

    def row(self, rounds: Sequence[Round]) -> list[str]:
        """Return the cells of the line."""
        seconds = [(self.figure(each[self.subject]), self.figure(each[self.floor])) for each in rounds]
        ratios = [subject / floor for subject, floor in seconds]
        return [
            self.title,
            *(f"{value:.2f}" for value in (min(ratios), statistics.median(ratios), max(ratios))),
            self.goal,
            "  ".join(f"{subject:.1f}/{floor:.1f}" for subject, floor in seconds),
        ]


def first_step(run: Run) -> float:
    return float(run["first_step"])


def epoch(run: Run) -> float:
    # The fastest epoch: other load on the machine can only make an epoch slower.
    return float(min(run["epochs"]))


RATIOS = {
    "start": (
        Ratio("first step, ray / no-op job", "ray", "ray-job", first_step, "at most 1.30"),
        Ratio("first step, local / imports", "local", "local-imports", first_step, "at most 1.30"),
    ),
    "epoch": (
        Ratio("epoch, ray / bare loop", "ray", "bare-loop", epoch, "at most 1.10"),
        Ratio("epoch, local / bare loop", "local", "bare-loop", epoch, "at most 1.10"),
    ),
    # Time of one worker / time of two workers = images/s of two / images/s of one.
    "scaling": (Ratio("images/s, 2 workers x 1 core / 1 x 2", "one", "two", epoch, "at least 0.90"),),
}


def main() -> None:
    options = _options()
    record: dict[str, Any] = {
        "machine": machine("fmnist", "torch", "lightning", "ray", "mlflow"),
        "options": {name: str(value) for name, value in vars(options).items()},
    }
    print(json.dumps(record["machine"]))
    try:
        with tempfile.TemporaryDirectory(prefix="fmnist-benchmark-") as home:
            environment = environment_of_subjects(home)
            for part in options.only or PARTS:
                record[part] = _measure(part, environment, options)
                _print(part, record[part])
    finally:  # keeps the figures that were measured before a failure
        record["load_at_end"] = os.getloadavg()
        append(options.output, record)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=PARTS, nargs="+", help="parts to run (default: all)")
    parser.add_argument("--rounds", type=int, default=3, help="rounds of start, epoch and scaling (default: 3)")
    parser.add_argument(
        "--epochs", type=int, default=5, help="epochs per run, at least 2; the first is not counted (default: 5)"
    )
    parser.add_argument("--images", type=int, default=20_000, help="images per epoch, at most 55000 (default: 20000)")
    parser.add_argument("--seeds", type=int, default=5, help="seeds of target and presets (default: 5)")
    parser.add_argument("--presets", choices=PRESETS, nargs="+", default=["fast"], help="names (default: fast)")
    parser.add_argument("--baseline-epochs", type=int, default=8, help="epochs of resnet18; 0: none (default: 8)")
    parser.add_argument("--output", type=Path, default=RESULTS, help="file to append results to, as JSON lines")
    return parser.parse_args()


def _measure(part: str, environment: dict[str, str], options: argparse.Namespace) -> Any:
    if part == "target":
        return to_target(environment, options.seeds, options.baseline_epochs)
    if part == "presets":
        return of_presets(environment, options.presets, options.seeds)
    if part == "start":
        # The first round is not counted: it fills the caches for the later ones.
        return [start_round(environment) for _ in range(options.rounds + 1)][1:]
    play = epoch_round if part == "epoch" else scaling_round
    return [play(environment, str(options.epochs), str(options.images)) for _ in range(options.rounds)]


def _print(part: str, measured: Any) -> None:
    if part == "presets":
        print_table(table_of_presets(measured))
    elif part == "target":
        print_table(table_of_presets(measured))
        print_table(table_of_ratios(measured))
    else:
        headings = ["ratio", "min", "median", "max", "goal", "seconds"]
        print_table([headings, *(ratio.row(measured) for ratio in RATIOS[part])])
    if part == "epoch":
        for name in ("ray", "local"):
            peak = max(each[name]["peak_mib"] for each in measured)
            print(f"peak memory of the process of fmnist train --compute {name}: {peak:.0f} MiB")


def start_round(environment: dict[str, str]) -> Round:
    return {
        "ray": run(environment, "product", "ray", FIRST_STEP),
        "ray-job": run(environment, "ray-job"),
        "local": run(environment, "product", "local", FIRST_STEP),
        "local-imports": run(environment, "local-imports"),
    }


def epoch_round(environment: dict[str, str], epochs: str, images: str) -> Round:
    # The lower bound runs in the middle, so that it is the neighbour of both.
    flags = ("--max-epochs", epochs, "--limit-train", images)
    return {
        "ray": run(environment, "product", "ray", *flags),
        "bare-loop": run(environment, "bare-loop", epochs, images),
        "local": run(environment, "product", "local", *flags),
    }


def scaling_round(environment: dict[str, str], epochs: str, images: str) -> Round:
    flags = ("--max-epochs", epochs, "--limit-train", images, "--num-workers")
    return {
        "one": run(environment, "product", "ray", *flags, "1"),
        "two": run(environment, "product", "ray", *flags, "2"),
    }


if __name__ == "__main__":
    main()
