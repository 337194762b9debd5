"""Measures requests and images per second of `fmnist serve`, against other servers and the bare model.

Timings on one machine can change by 2-3 times within minutes, so only ratios of neighbouring runs mean anything. The
servers take turns, one at a time, each in its own process group. Prints a table and appends the raw figures to
results/. Needs `pip install 'fmnist[bench]'`.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from reporting import machine, print_table
from serving_servers import SUBJECTS_FILE, Running, Server, running, servers

from fmnist.apps.containers.predict import PredictContainer
from fmnist.apps.settings import Settings, load_environment
from fmnist.domain.model.data.images import Images
from fmnist.domain.services.prediction import Prediction

HERE = Path(__file__).parent
RESULTS = HERE / "results" / "serving.jsonl"
LOAD_SCRIPT = str(HERE / "serving_load.js")
PACKAGES = ("fmnist", "ray", "fastapi", "onnxruntime", "torch", "litserve", "mlflow", "k6")
WARM_UP_SECONDS = 2
BATCH = 1000
# Enough images to tell one model from another.
KNOWN_IMAGES = 16
JSON, OCTETS = "application/json", "application/octet-stream"
# fmnist runs between the two subjects of its goals, so that both are its neighbours.
SUBJECTS = ("plain", "fmnist", "limit", "litserve", "mlflow")

Figures = dict[str, Any]
Round = dict[str, dict[str, Figures]]


@dataclass(frozen=True)
class Scenario:
    """A kind of load."""

    images: int
    connections: int
    content_type: str = JSON


SCENARIOS = {
    "single": Scenario(1, 16),
    "json": Scenario(BATCH, 4),
    "octets": Scenario(BATCH, 4, OCTETS),
}


@dataclass(frozen=True)
class Ratio:
    """One line of the table: a figure of fmnist divided by that of another subject, in every round."""

    title: str
    scenario: str
    figure: str
    other: str
    goal: float | None = None
    at_most: bool = False

    def row(self, rounds: Sequence[Round]) -> list[str]:
        """Return the cells of the line."""
        pairs = [
            (each["fmnist"][self.scenario][self.figure], each[self.other][self.scenario][self.figure])
            for each in rounds
        ]
        ratios = [ours / theirs for ours, theirs in pairs]
        median = statistics.median(ratios)
        goal, verdict = "", ""
        if self.goal is not None:
            met = median <= self.goal if self.at_most else median >= self.goal
            goal, verdict = f"{'<=' if self.at_most else '>='} {self.goal:g}", "met" if met else "MISSED"
        return [
            self.title,
            self.other,
            *(f"{value:.2f}" for value in (min(ratios), median, max(ratios))),
            goal,
            verdict,
            "  ".join(f"{ours:,.0f}/{theirs:,.0f}" for ours, theirs in pairs),
        ]


RATIOS = (
    Ratio("single, requests/s", "single", "requests_per_second", "plain", 2),
    Ratio("single, p99 ms", "single", "p99_ms", "plain", 0.5, at_most=True),
    Ratio("1000 JSON, images/s", "json", "images_per_second", "plain", 4),
    Ratio("1000 octets, images/s", "octets", "images_per_second", "limit", 0.8),
    *(
        ratio
        for other in ("litserve", "mlflow")
        for ratio in (
            Ratio("single, requests/s", "single", "requests_per_second", other),
            Ratio("single, p99 ms", "single", "p99_ms", other),
            Ratio("1000 JSON, images/s", "json", "images_per_second", other),
        )
    ),
)


HEADINGS = ["fmnist serve", "over", "min", "median", "max", "goal", "", "figures"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", help="models:/NAME/VERSION (default: newest registered version)")
    parser.add_argument("--rounds", type=int, default=3, help="number of runs of each subject (default: 3)")
    parser.add_argument("--seconds", type=float, default=8, help="seconds of load per scenario (default: 8)")
    parser.add_argument("--only", nargs="+", choices=SUBJECTS, default=SUBJECTS, help="subjects to run (default: all)")
    parser.add_argument("--output", type=Path, default=RESULTS, help="file to append results to, as JSON lines")
    options = parser.parse_args()

    settings = load_environment()
    container = PredictContainer(settings=settings)
    model = options.model or newest(container, settings.mlflow_registered_model_name)
    prediction = container.prediction(model)
    record: dict[str, Any] = {
        "machine": machine(*PACKAGES),
        "model": model,
        "architecture": prediction.info.architecture,
        "seconds": options.seconds,
    }
    print(json.dumps(record), flush=True)
    images = images_of(container, prediction)
    environment = environment_of_subjects(settings)
    with tempfile.TemporaryDirectory(prefix="fmnist-benchmark-") as scratch:
        bench = Bench(Path(scratch), environment, model, images, prediction, options.seconds)
        record["rounds"] = [bench.round(options.only) for _ in range(options.rounds)]
    record["load_at_end"] = os.getloadavg()
    compared = [ratio for ratio in RATIOS if {"fmnist", ratio.other} <= set(options.only)]
    if compared:
        print_table([HEADINGS, *(ratio.row(record["rounds"]) for ratio in compared)])
    options.output.parent.mkdir(parents=True, exist_ok=True)
    with options.output.open("a", encoding="utf-8") as file:
        file.write(json.dumps(record) + "\n")
    print(f"appended to {options.output}")


class Bench:
    """Runs each subject under the same loads, with the same images."""

    def __init__(
        self,
        scratch: Path,
        environment: dict[str, str],
        model: str,
        images: Images,
        prediction: Prediction,
        seconds: float,
    ) -> None:
        self._scratch = scratch
        self._environment = environment
        self._model = model
        self._images = images
        self._classes = prediction.probabilities(images).argmax(axis=1).tolist()
        self._servers = servers(prediction.info.normalization)
        self._seconds = seconds

    def round(self, names: Sequence[str]) -> Round:
        """Measure each subject once."""
        return {name: self._limit() if name == "limit" else self._server(name) for name in SUBJECTS if name in names}

    def _limit(self) -> dict[str, Figures]:
        path = self._scratch / "limit"
        path.write_bytes(self._images.tobytes())
        command = [sys.executable, SUBJECTS_FILE, "limit", str(path), str(self._seconds), self._model]
        found = json.loads(run(command, self._environment).splitlines()[-1])
        if found.pop("classes") != self._classes:
            sys.exit("the bare model answers with other classes than the served one: they cannot be compared")
        return {"octets": told("limit", "octets", found)}

    def _server(self, name: str) -> dict[str, Figures]:
        server, log = self._servers[name], self._scratch / f"{name}.log"
        known = self._images[:KNOWN_IMAGES], self._classes[:KNOWN_IMAGES]
        with running(server, self._model, *known, self._environment, log) as started:
            return {
                kind: told(name, kind, self._load(server, started, scenario))
                for kind, scenario in SCENARIOS.items()
                if scenario.content_type == JSON or server.takes_octets
            }

    def _load(self, server: Server, started: Running, scenario: Scenario) -> Figures:
        images = self._images[: scenario.images]
        path = self._scratch / "body"
        path.write_bytes(server.json_body(images) if scenario.content_type == JSON else images.tobytes())
        environment = {
            **self._environment,
            "URL": started.url,
            "BODY": str(path),
            "CONTENT_TYPE": scenario.content_type,
            "CONNECTIONS": str(scenario.connections),
        }
        command = ["k6", "run", "--quiet", "--no-usage-report", "--address", "", LOAD_SCRIPT]
        run(command, {**environment, "SECONDS": str(WARM_UP_SECONDS)})
        figures: Figures = json.loads(run(command, {**environment, "SECONDS": str(self._seconds)}))
        return {
            **figures,
            "images_per_second": figures["requests_per_second"] * scenario.images,
            "replicas": started.replicas(),
        }


def told(name: str, kind: str, figures: Figures) -> Figures:
    rounded = {key: round(value, 2) for key, value in figures.items()}
    print(f"{datetime.now(UTC):%X}  {name} {kind}: {json.dumps(rounded)}", flush=True)
    if figures.get("failed"):
        print(f"          {figures['failed']} requests FAILED, and are not counted")
    return figures


def run(command: list[str], environment: dict[str, str]) -> str:
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(command)} failed:\n{done.stdout}{done.stderr}")
    return done.stdout


def newest(container: PredictContainer, name: str) -> str:
    versions = container.model_store().versions(name)
    if not versions:
        sys.exit(f"no model is registered as {name!r} yet: run fmnist train, or give --model")
    uri: str = versions[0].uri
    return uri


def images_of(container: PredictContainer, prediction: Prediction) -> Images:
    registry = container.data_registry()
    dataset = registry.resolve(prediction.info.lineage["dvc_data_version"])
    images: Images = registry.read(dataset, "test" if "test" in dataset.splits else "val").images[:BATCH]
    return images


def environment_of_subjects(settings: Settings) -> dict[str, str]:
    # Without RAY_ADDRESS, this machine is measured, not another cluster. The load generator sends no API keys.
    inherited = {name: value for name, value in os.environ.items() if name not in ("RAY_ADDRESS", "FMNIST_API_KEYS")}
    return {
        **inherited,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "FMNIST_HOME": str(settings.fmnist_home),
        "MLFLOW_TRACKING_URI": settings.tracking_uri.reveal(),
        # One thread per model. Ray and fmnist set their own numbers of threads.
        "OMP_NUM_THREADS": "1",
        "RAY_USAGE_STATS_ENABLED": "0",
    }


if __name__ == "__main__":
    main()
