"""Runs the steps of `deploy/base/pipeline.yaml` in order, as `fmnist` commands, up to the first refusal."""

import json
import os
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from pipeline.service import LocalService
from pipeline.steps import StepFailed, Steps

ROOT = Path(__file__).resolve().parent.parent


def run_pipeline(values: Mapping[str, str], steps: Steps, service: LocalService) -> None:
    """Run the steps up to the first failure or refusal.

    Args:
        values: values of the parameters in deploy/base/pipeline.yaml, by name.

    Raises:
        StepFailed: a step failed.
    """
    service.begin(ROOT)
    data = steps.run("resolve-data", "data", "resolve", values["dvc_data_version"])["data_version"]
    of_run = {"DOCKER_IMAGE_TAG": values["training_image_tag"], "DVC_DATA_VERSION": data}
    train = [*_workers(values["compute_type"]), *shlex.split(values["training_args"])]
    steps.run("train", "train", *train, outputs=False, **of_run)

    direction = "--higher-is-better" if values["comparison_higher_is_better"] == "true" else "--lower-is-better"
    compare = ["--metric", values["comparison_metric"], direction, "--threshold", values["comparison_threshold"]]
    if not _yes("compare", steps.run("compare", "promote", "compare", "--mode", "contract", *compare)):
        return
    version = steps.run("stage", "promote", "stage")["staging_version"]
    name = os.environ["MLFLOW_REGISTERED_MODEL_NAME"].partition(".")[2]
    model = ["--model-uri", f"models:/staging.{name}/{version}"]
    if not _yes("test", steps.run("test", "promote", "test", *model)):
        return
    if values["approval_mode"] == "manual":
        by, reason = _ask(f"approve {model[1]}? Your name (or no):"), _ask("Reason:")
        steps.run("approve", "promote", "approve", *model, f"--by={by}", f"--reason={reason}")
    image = f"{document('parameters')['data']['serving_image']}:{values['serving_image_tag']}"
    release = ["--serving-image", image, "--approval", values["approval_mode"], "--by", _by(steps)]
    steps.run("release", "promote", "release", *model, *release)
    _deliver(steps, service)


def roll_back(by: str, reason: str, steps: Steps, service: LocalService) -> None:
    """Bring the previous champion back into service.

    Raises:
        StepFailed: a step failed.
    """
    steps.run("rollback", "promote", "rollback", f"--by={by}", f"--reason={reason}")
    _deliver(steps, service)


def document(name: str) -> dict[str, Any]:
    """Return a manifest of deploy/base."""
    text = (ROOT / f"deploy/base/{name}.yaml").read_text(encoding="utf-8")
    found: dict[str, Any] = yaml.safe_load(text)
    return found


def _deliver(steps: Steps, service: LocalService) -> None:
    """Write the champion into the GitOps repository, update the service from it, and test the service."""
    model_uri = steps.run("deploy", "deploy", "--by", _by(steps))["model_uri"]
    service.follow()
    steps.run("smoke-test", "smoke", service.url, "--model", model_uri, "--wait", "1500", outputs=False)
    print(f"the service at {service.url} runs until `make pipeline-stop`")


def _workers(compute_type: str) -> list[str]:
    compute = json.loads(document("compute-types")["data"][compute_type])
    return ["--num-workers", compute["replicas"], "--gpu-per-worker", compute["gpu"]]


def _yes(step: str, outputs: Mapping[str, str]) -> bool:
    if outputs["promoted"] == "true":
        return True
    print(f"{step} refused the model, and the service does not change: {outputs['message']}")
    return False


def _ask(question: str) -> str:
    """Return a person's answer. No answer, or a no, ends the pipeline."""
    try:
        answer = input(f"{question} ").strip()
    except EOFError:
        answer = ""
    if answer.lower() in {"", "n", "no"}:
        raise StepFailed("approve: not approved; the model stays in staging, and `fmnist promote approve` can follow")
    return answer


def _by(steps: Steps) -> str:
    return f"pipeline-{steps.uid[:5]}"
