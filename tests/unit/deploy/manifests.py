"""What kustomize makes of `deploy/`, and the parts of it that tests look at."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from pipeline.expressions import render
from pipeline.templates import Library

ROOT = Path(__file__).parents[3]
DEPLOY = ROOT / "deploy"
BASE, OVERLAY = "base", "overlays/minikube"
ENTRIES = ("fmnist-pipeline", "fmnist-rollback")

Document = Mapping[str, Any]

# A value of its kind for every input of a step, as a run would have it.
SAMPLES = {
    "approval": "manual",
    "by": "a person",
    "compute": '{"cpu": "2", "memory": "4Gi", "replicas": "1", "gpu": "0"}',
    "data_version": "fashion-mnist-v1.0.0",
    "higher_is_better": "true",
    "image": "registry/image:tag",
    "image_tag": "1.10",  # which is a text, and no number
    "metric": "val_acc",
    "model_uri": "models:/staging.fashion-mnist-classifier/3",
    "reason": "because",
    "serving_image": "registry/image:tag",
    "threshold": "0.05",
    "training_args": "--max-epochs 3 --limit-train 1000",
    "url": "http://service:8000",
}
_OF_A_RUN = {"workflow.name": "fmnist-pipeline-abcde", "workflow.uid": "6f7c7f5c-0b3f-4c1e-9f0b-1d2e3f4a5b6c"}


@dataclass(frozen=True)
class Template:
    """A template, and the WorkflowTemplate that it stands in."""

    home: str
    body: Document

    @property
    def name(self) -> str:
        return f"{self.home}/{self.body['name']}"

    @property
    def tasks(self) -> list[Document]:
        return list(self.body.get("dag", {}).get("tasks", []))

    @property
    def locked(self) -> bool:
        return bool(self.body.get("synchronization"))

    def parameters(self, side: str) -> dict[str, Document]:
        return {each["name"]: each for each in self.body.get(side, {}).get("parameters", [])}


@cache
def library(directory: str = OVERLAY) -> Library:
    return Library.render(DEPLOY / directory)


def documents(directory: str = OVERLAY) -> list[Document]:
    return list(library(directory).documents.values())


def spec(kind: str, name: str) -> Document:
    return dict(library().get(kind, name)["spec"])


def templates() -> list[Template]:
    homes = [document for document in documents() if document["kind"] == "WorkflowTemplate"]
    return [Template(home["metadata"]["name"], body) for home in homes for body in home["spec"]["templates"]]


def called(home: str, task: Document) -> Template:
    return Template(*library().template(home, task))


def reached(entry: str) -> Iterator[tuple[Template, ...]]:
    """Every way from the entry of a workflow to a template that it leads to."""
    yield from _below((called(entry, {"template": spec("WorkflowTemplate", entry)["entrypoint"]}),))


def scope(**others: str) -> dict[str, str]:
    """What the variables of a template stand for in a run."""
    inputs = {f"inputs.parameters.{name}": value for name, value in {**SAMPLES, **others}.items()}
    return {**_OF_A_RUN, **inputs}


def ray_job(**others: str) -> dict[str, Any]:
    """The RayJob as Argo would hand it to the cluster."""
    body = called("fmnist-train", {"template": "train"}).body
    return dict(yaml.safe_load(render(body["resource"]["manifest"], scope(**others))))


def pods() -> dict[str, Document]:
    """The pods of Ray's clusters, by what they are for."""
    found = {}
    for what, cluster in (
        ("training", ray_job()["spec"]["rayClusterSpec"]),
        ("service", spec("RayService", "fmnist")["rayClusterConfig"]),
    ):
        for group in (cluster["headGroupSpec"], *cluster["workerGroupSpecs"]):
            found[f"{what} {group.get('groupName', 'head')}"] = group["template"]["spec"]
    return found


def containers() -> dict[str, Document]:
    """Every container of ours, with what it gets from defaults."""
    found = {name: pod["containers"][0] for name, pod in pods().items()}
    defaults = spec("WorkflowTemplate", "fmnist-pipeline")["templateDefaults"]["container"]
    for template in templates():
        if own := template.body.get("container"):
            env = [*defaults["env"], *own.get("env", [])]
            found[template.name] = {**defaults, **own, "env": env}
    return found


def found_in(value: Any, key: str) -> Iterator[Any]:
    """Every value under this key, however deep, in texts that are YAML too."""
    if isinstance(value, Mapping):
        for name, child in value.items():
            if name == key:
                yield child
            yield from found_in(child, key)
    elif isinstance(value, list):
        for child in value:
            yield from found_in(child, key)


def variables(value: Any) -> set[str]:
    """Every variable in the `{{...}}` of a text, or of all texts below."""
    tags = re.findall(r"\{\{(.*?)\}\}", yaml.safe_dump(value, width=2**16), re.DOTALL)
    words = [re.sub(r"'[^']*'", "", tag) if tag.startswith("=") else tag for tag in tags]
    return {name for word in words for name in re.findall(r"[a-z]+\.[\w.-]+", word)}


def _below(path: tuple[Template, ...]) -> Iterator[tuple[Template, ...]]:
    yield path
    for task in path[-1].tasks:
        yield from _below((*path, called(path[-1].home, task)))
