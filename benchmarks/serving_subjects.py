"""Subjects to compare `fmnist serve` with: simple servers for the same model, and the model without a server.

Each runs in its own process, `serving_subjects.py NAME ARGUMENTS`.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

# Threads of each subject's model, as many as `fmnist serve` has.
THREADS = 1
# What no server of a registered model can do without.
IMPORTS = "import fastapi, mlflow, onnxruntime"


def plain(port: str, model: str) -> None:
    """Serve with Ray Serve as in its first tutorial: FastAPI, lists of integers checked by pydantic, eager torch.

    Normalization is hard-coded, and requests are answered one by one.
    """
    import mlflow
    import ray
    import torch
    from fastapi import FastAPI
    from pydantic import BaseModel
    from ray import serve
    from ray.serve.config import HTTPOptions

    mean, std = normalization_of(model)
    tracking_uri = os.environ["MLFLOW_TRACKING_URI"]
    app = FastAPI()

    class Body(BaseModel):
        images: list[list[int]]

    @serve.deployment(ray_actor_options={"num_cpus": 1})
    @serve.ingress(app)
    class Plain:
        def __init__(self) -> None:
            mlflow.set_tracking_uri(tracking_uri)
            self.network = mlflow.pytorch.load_model(model)

        @app.post("/predict")
        async def predict(self, body: Body) -> dict[str, Any]:
            pixels = torch.tensor(body.images, dtype=torch.float32).reshape(-1, 1, 28, 28)
            with torch.no_grad():
                probabilities = self.network((pixels / 255 - mean) / std).softmax(1)
            confidences, labels = probabilities.max(1)
            return {
                "predictions": [
                    {"class_id": label, "confidence": confidence}
                    for label, confidence in zip(labels.tolist(), confidences.tolist(), strict=True)
                ]
            }

    ray.init(num_cpus=2, include_dashboard=False)
    serve.start(http_options=HTTPOptions(host="127.0.0.1", port=int(port)))
    serve.run(Plain.bind())  # type: ignore[attr-defined]  # of the decorator
    signal.sigwait({signal.SIGTERM})
    serve.shutdown()
    ray.shutdown()


def mlflow(port: str, model: str) -> None:
    """Serve with `mlflow models serve`, in this environment and with one worker."""
    command = [sys.executable, "-m", "mlflow", "models", "serve", "--env-manager", "local", "--workers", "1"]
    os.execv(command[0], [*command, "--host", "127.0.0.1", "--port", port, "--model-uri", model])  # noqa: S606 - it becomes the server


def limit(images: str, seconds: str, model: str) -> None:
    """Run ONNX Runtime in a loop, without a server, on prepared inputs. Then time the imports in a fresh process."""
    import numpy as np

    classifier = load_classifier(model)
    batch = np.frombuffer(Path(images).read_bytes(), np.uint8).reshape(-1, 28, 28)
    inputs = classifier.info.normalization.apply(batch)
    labels: Any = None

    def answer() -> int:
        nonlocal labels
        labels = classifier.logits(inputs).argmax(axis=1)
        return len(inputs)

    until = time.perf_counter() + 1
    while time.perf_counter() < until:
        answer()
    count, started = 0, time.perf_counter()
    while (now := time.perf_counter()) < started + float(seconds):
        count += answer()
    found = {"images_per_second": count / (now - started), "classes": labels.tolist()}
    started = time.perf_counter()
    subprocess.run([sys.executable, "-c", IMPORTS], check=True)
    found["import_seconds"] = time.perf_counter() - started
    sys.stdout.write(json.dumps(found) + "\n")


def download(model: str) -> Any:
    """Return the model's package from the store."""
    from fmnist.adapters.mlflow.model_store import MlflowModelStore
    from fmnist.apps.containers.predict import PredictContainer
    from fmnist.apps.settings import load_environment

    container = PredictContainer(settings=load_environment())
    store = MlflowModelStore(container.connection(), threads=THREADS)
    return store.download(store.resolve(model))


def load_classifier(model: str) -> Any:
    return download(model).load()


def normalization_of(model: str) -> tuple[float, float]:
    normalization = load_classifier(model).info.normalization
    return normalization.mean, normalization.std


SUBJECTS: dict[str, Callable[..., None]] = {"plain": plain, "mlflow": mlflow, "limit": limit}

if __name__ == "__main__":
    name, *arguments = sys.argv[1:]
    SUBJECTS[name](*arguments)
