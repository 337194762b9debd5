"""Measures the window of recent traffic: its alarms, its expected accuracy, and what it and others cost the service.

`FMNIST_HOME` names the state directory with the models. The cost needs `pip install 'fmnist[bench]'`.
"""

import argparse
import json
import statistics
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from reporting import append, machine, print_table
from serving import environment_of_subjects, images_of, newest, send
from serving_servers import Running, pixels_as_json, running, servers

from fmnist.adapters.pillow.corruptions import corrupt
from fmnist.apps.containers.evaluate import EvaluateContainer
from fmnist.apps.containers.predict import PredictContainer
from fmnist.apps.settings import load_environment
from fmnist.domain.model.data.images import Images
from fmnist.domain.model.evaluation.robustness import Corruption
from fmnist.domain.model.traffic.drift import Drift, Verdict
from fmnist.domain.model.traffic.sketch import Sketch, TrafficWindow, features_of
from fmnist.domain.services.evaluation.evaluate import measured_dataset
from fmnist.domain.services.prediction import Prediction

RESULTS = Path(__file__).parent / "results" / "drift.jsonl"
PARTS = ("alarms", "accuracy", "cost")
SIZES, WINDOWS = (100, 300, 500, 1000, 3000), 100
SHOWN = (1, 3, 5)
CONNECTIONS, SECONDS, ALTERNATIONS, REQUESTS = 16, 6, 10, 20_000
NOTHING, NO_COLLECTOR = "nothing", "http://127.0.0.1:9"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", nargs="?", help="models:/NAME/VERSION (default: newest registered version)")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS, help="parts to run (default: all)")
    options = parser.parse_args()
    settings = load_environment()
    predicting = PredictContainer(settings=settings)
    uri = options.model or newest(predicting, settings.mlflow_registered_model_name)
    record: dict[str, Any] = {"machine": machine("fmnist", "numpy", "onnxruntime", "uvicorn"), "model": uri}
    print(json.dumps(record), flush=True)
    if "alarms" in options.only or "accuracy" in options.only:
        traffic = Traffic(uri)
        for part in ("alarms", "accuracy"):
            if part in options.only:
                record[part] = getattr(traffic, part)()
                print_table(record[part])
                print()
    if "cost" in options.only:
        prediction = predicting.prediction(uri)
        record["cost"] = cost(prediction, uri, images_of(predicting, prediction), environment_of_subjects(settings))
        print_table(record["cost"])
    append(RESULTS, record)


class Traffic:
    """A model, and windows of `test` and of its corruptions."""

    def __init__(self, uri: str) -> None:
        container = EvaluateContainer(settings=load_environment())
        store, registry = container.model_store(), container.data_registry()
        model = store.resolve(uri)
        dataset = measured_dataset(registry, model, "test")
        self._predict: Callable[[Images], Any] = Prediction(store.download(model).load()).logits
        self._test = registry.read(dataset, "test")
        self._reference = self._sketch(registry.read(dataset, "val").images)

    def _sketch(self, images: Images) -> Sketch:
        return Sketch.of(features_of(images), self._predict(images))

    def _verdicts(self, images: Images, size: int) -> Iterator[Verdict]:
        """Judge random windows of these images."""
        features, logits, random = features_of(images), self._predict(images), np.random.default_rng(0)
        for _ in range(WINDOWS):
            rows = random.permutation(len(images))[:size]
            window = TrafficWindow(Sketch.of(features[rows], logits[rows]), None, None)
            yield Drift.of("", window, self._reference).verdict

    def alarms(self) -> list[list[str]]:
        """Count the windows of `test` that alarm, by size, and of its corruptions with 500 images, by severity."""
        rows = [[f"alarms of {WINDOWS} windows", *map(str, SHOWN)]]
        rows += [[f"test, {size} images", str(self._alarms(self._test.images, size)), "", ""] for size in SIZES]
        for corruption in Corruption:
            corrupted = (corrupt(self._test.images[:2000], corruption, severity) for severity in SHOWN)
            rows.append([f"{corruption}, 500 images", *(str(self._alarms(images, 500)) for images in corrupted)])
        return rows

    def _alarms(self, images: Images, size: int) -> int:
        return Counter(self._verdicts(images, size))[Verdict.DRIFTED]

    def accuracy(self) -> list[list[str]]:
        """Compare the expected accuracy with the true one, by corruption and severity."""
        rows = [["expected / true accuracy", *map(str, SHOWN)]]
        rows.append(["test", self._expected(self._test.images), "", ""])
        for corruption in Corruption:
            found = [self._expected(corrupt(self._test.images, corruption, severity)) for severity in SHOWN]
            rows.append([str(corruption), *found])
        return rows

    def _expected(self, images: Images) -> str:
        logits = self._predict(images)
        expected, _, _ = Sketch.of(features_of(images), logits).expected_accuracy()
        return f"{expected:.1%} / {(logits.argmax(axis=1) == self._test.labels).mean():.1%}"


def cost(prediction: Prediction, uri: str, images: Images, environment: dict[str, str]) -> list[list[str]]:
    """Compare CPU seconds of one-image requests with each part and without any, in turns."""
    classes = prediction.probabilities(images[:16]).argmax(axis=1).tolist()
    plain = servers(prediction.info.normalization, Path())["fmnist"]
    shadowed = replace(plain, command=[*plain.command, "--shadow", uri])
    with tempfile.TemporaryDirectory(prefix="fmnist-benchmark-") as directory, ExitStack() as stack:
        body, started = Path(directory, "body"), dict[str, Running]()
        body.write_bytes(pixels_as_json(images[:1]))
        load = {**environment, "BODY": str(body), "CONTENT_TYPE": "application/json", "CONNECTIONS": str(CONNECTIONS)}
        without = {"DRIFT_WINDOW_MINUTES": "0"}
        traced = {"OTEL_TRACES_SAMPLER": "parentbased_traceidratio", "OTEL_TRACES_SAMPLER_ARG": "0.1"}
        for name, server, variables in (
            (NOTHING, plain, without),
            ("window and drift", plain, {}),
            ("window, drift and feedback", plain, {"FEEDBACK_PLACE": str(Path(directory, "feedback"))}),
            ("shadow", shadowed, without),
            ("traces of a tenth", plain, {**without, **traced, "OTEL_EXPORTER_OTLP_ENDPOINT": NO_COLLECTOR}),
        ):
            log = Path(directory, f"{len(started)}.log")
            own = {**environment, **variables}
            started[name] = stack.enter_context(running(server, uri, images[:16], classes, own, log))
            _cpu_seconds(started[name], load)  # warm-up
        turns = [{name: _cpu_seconds(each, load) for name, each in started.items()} for _ in range(ALTERNATIONS)]
    rows = [[f"CPU seconds of {REQUESTS:,} requests", "median", "over nothing: median", "min", "max"]]
    for name in started:
        ratios = [turn[name] / turn[NOTHING] for turn in turns]
        figures = (statistics.median(turn[name] for turn in turns), statistics.median(ratios), min(ratios), max(ratios))
        rows.append([name, *(f"{figure:.3f}" for figure in figures)])
    return rows


def _cpu_seconds(server: Running, variables: dict[str, str]) -> float:
    """Load a server, and return its CPU seconds for `REQUESTS` requests."""
    (process, *_) = server.processes()
    before = process.cpu_times()
    answered = send({**variables, "URL": server.url}, SECONDS)["answered"]
    after = process.cpu_times()
    return float(REQUESTS * (after.user + after.system - before.user - before.system) / answered)


if __name__ == "__main__":
    main()
