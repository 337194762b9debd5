"""How long until the first optimizer step, and how long an epoch, against the least that each could be.

Timings of one machine differ by 2-3 times from minute to minute, so only ratios of two runs side by side mean anything:
the subjects take turns, and each ratio is of two neighbours. Prints a table and appends the raw figures to results/.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from reporting import machine, print_table
from subjects import FIRST_STEP

from fmnist.apps.settings import Settings

HERE = Path(__file__).parent
RESULTS = HERE / "results" / "training.jsonl"
TIME_LIMIT_SECONDS = 1800

Run = dict[str, Any]
Round = dict[str, Run]


@dataclass(frozen=True)
class Ratio:
    """One line of the table: a figure of a subject over the same figure of its floor, in every round."""

    title: str
    subject: str
    floor: str
    figure: Callable[[Run], float]
    goal: float

    def row(self, rounds: Sequence[Round]) -> list[str]:
        """Return the cells of the line."""
        seconds = [(self.figure(each[self.subject]), self.figure(each[self.floor])) for each in rounds]
        ratios = [subject / floor for subject, floor in seconds]
        return [
            self.title,
            *(f"{value:.2f}" for value in (min(ratios), statistics.median(ratios), max(ratios))),
            f"{self.goal:.2f}",
            "  ".join(f"{subject:.1f}/{floor:.1f}" for subject, floor in seconds),
        ]


def first_step(run: Run) -> float:
    return float(run["first_step"])


def epoch(run: Run) -> float:
    # The quickest: whatever else the machine does can only make an epoch longer.
    return float(min(run["epochs"]))


START_RATIOS = (
    Ratio("first step, ray / no-op job", "ray", "ray-job", first_step, 1.3),
    Ratio("first step, local / imports", "local", "local-imports", first_step, 1.3),
)
EPOCH_RATIOS = (
    Ratio("epoch, ray / bare loop", "ray", "bare-loop", epoch, 1.15),
    Ratio("epoch, local / bare loop", "local", "bare-loop", epoch, 1.15),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=("start", "epoch"), help="one of the two parts")
    parser.add_argument("--rounds", type=int, default=3, help="runs of each subject (default: 3)")
    parser.add_argument("--epochs", type=int, default=5, help="of each run; the first is not counted (default: 5)")
    parser.add_argument("--images", type=int, default=20_000, help="in an epoch (default: 20000; there are 55000)")
    parser.add_argument("--output", type=Path, default=RESULTS, help="where results are appended, as JSON lines")
    options = parser.parse_args()

    record: dict[str, Any] = {
        "machine": machine("fmnist", "torch", "lightning", "ray", "mlflow"),
        "images": options.images,
        "epochs": options.epochs,
    }
    print(json.dumps(record["machine"]))
    ratios: list[tuple[Ratio, list[Round]]] = []
    with tempfile.TemporaryDirectory(prefix="fmnist-benchmark-") as home:
        environment = environment_of_subjects(home)
        if options.only != "epoch":
            # The first round is not counted: it fills the caches that all later ones find filled.
            record["start"] = [start_round(environment) for _ in range(options.rounds + 1)][1:]
            ratios += [(ratio, record["start"]) for ratio in START_RATIOS]
        if options.only != "start":
            flags = (str(options.epochs), str(options.images))
            record["epoch"] = [epoch_round(environment, *flags) for _ in range(options.rounds)]
            ratios += [(ratio, record["epoch"]) for ratio in EPOCH_RATIOS]
    record["load_at_end"] = os.getloadavg()
    print_table([["ratio", "min", "median", "max", "goal", "seconds"], *(one.row(rounds) for one, rounds in ratios)])
    print_peaks(record.get("epoch", []))
    options.output.parent.mkdir(parents=True, exist_ok=True)
    with options.output.open("a", encoding="utf-8") as file:
        file.write(json.dumps(record) + "\n")
    print(f"appended to {options.output}")


def start_round(environment: dict[str, str]) -> Round:
    return {
        "ray": run(environment, "product", "ray", FIRST_STEP),
        "ray-job": run(environment, "ray-job"),
        "local": run(environment, "product", "local", FIRST_STEP),
        "local-imports": run(environment, "local-imports"),
    }


def epoch_round(environment: dict[str, str], epochs: str, images: str) -> Round:
    # The floor stands between the two, so that both have it as their neighbour.
    flags = ("--max-epochs", epochs, "--limit-train", images)
    return {
        "ray": run(environment, "product", "ray", *flags),
        "bare-loop": run(environment, "bare-loop", epochs, images),
        "local": run(environment, "product", "local", *flags),
    }


def run(environment: dict[str, str], *subject: str) -> Run:
    """Run one subject in a process of its own and return what it measured."""
    name, *arguments = subject
    command = [sys.executable, str(HERE / "subjects.py"), name, str(time.time()), *arguments]
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, check=False, timeout=TIME_LIMIT_SECONDS
    )
    if done.returncode:
        sys.exit(f"{' '.join(subject)} failed:\n{done.stderr}")
    measured: Run = json.loads(done.stdout.splitlines()[-1])
    print(f"{datetime.now(UTC):%X}  {' '.join(subject)}: {json.dumps(measured)}", flush=True)
    return measured


def environment_of_subjects(home: str) -> dict[str, str]:
    """Return an environment with a state directory to throw away, and the real one's data, which is built first."""
    settings = Settings.load()
    if settings.dvc_repo_url is None:
        subprocess.run([sys.executable, "-m", "fmnist.apps.main", "data", "build"], check=True)
    data = {"DVC_REPO_URL": settings.data_repo, "DVC_REMOTE_URL": settings.data_remote_url}
    return {
        **os.environ,
        **{name: value for name, value in data.items() if value},
        "FMNIST_HOME": home,
        "FMNIST_PRESET": "fast",
    }


def print_peaks(rounds: Sequence[Round]) -> None:
    for name in ("ray", "local") if rounds else ():
        peak = max(each[name]["peak_mib"] for each in rounds)
        print(f"peak memory of fmnist train --compute {name}, its own process: {peak:.0f} MiB")


if __name__ == "__main__":
    main()
