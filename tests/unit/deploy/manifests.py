"""The output of kustomize for `deploy/`, and functions that find its parts for tests."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[3]
DEPLOY = ROOT / "deploy"
BASE, OVERLAY = "base", "overlays/minikube"
ENTRIES = ("fmnist-pipeline", "fmnist-rollback", "fmnist-canary")

Document = Mapping[str, Any]

# A realistic value for every input of a step.
SAMPLES = {
    "approval": "manual",
    "by": "a person",
    "compute": '{"cpu": "2", "memory": "4Gi", "replicas": "1", "gpu": "0"}',
    "data_version": "fashion-mnist-v1.0.0",
    "higher_is_better": "true",
    "image": "registry/image:tag",
    "image_tag": "1.10",  # a string, not a number
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
    """A template, and the WorkflowTemplate that contains it."""

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
def documents(directory: str = OVERLAY) -> list[Document]:
    """Return the output of kustomize for a directory."""
    command = [Path(sys.executable).with_name("kubectl"), "kustomize", DEPLOY / directory]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return [document for document in yaml.load_all(text, yaml.CSafeLoader) if document]


def get(kind: str, name: str) -> Document:
    """Return the document with this kind and name."""
    (found,) = (each for each in documents() if (each["kind"], each["metadata"]["name"]) == (kind, name))
    return found


def spec(kind: str, name: str) -> Document:
    return dict(get(kind, name)["spec"])


def templates() -> list[Template]:
    homes = [document for document in documents() if document["kind"] == "WorkflowTemplate"]
    return [Template(home["metadata"]["name"], body) for home in homes for body in home["spec"]["templates"]]


def called(home: str, task: Document) -> Template:
    """Return the template that a task of the WorkflowTemplate `home` runs."""
    reference = task.get("templateRef") or {"name": home, "template": task["template"]}
    named = spec("WorkflowTemplate", reference["name"])["templates"]
    (body,) = (each for each in named if each["name"] == reference["template"])
    return Template(reference["name"], body)


def reached(entry: str) -> Iterator[tuple[Template, ...]]:
    """Return every path from the entry of a workflow to a template."""
    yield from _below((called(entry, {"template": spec("WorkflowTemplate", entry)["entrypoint"]}),))


def scope(**others: str) -> dict[str, str]:
    """Return the values of a template's variables in a run."""
    inputs = {f"inputs.parameters.{name}": value for name, value in {**SAMPLES, **others}.items()}
    return {**_OF_A_RUN, **inputs}


def render(value: Any, scope: Mapping[str, str]) -> Any:
    """Fill in every `{{...}}` of a string, or of all strings of a list, as Argo does."""
    if isinstance(value, list):
        return [render(each, scope) for each in value]
    return re.sub(r"\{\{(=?)(.*?)\}\}", lambda tag: _filled(tag[1], tag[2].strip(), scope), value, flags=re.DOTALL)


def _filled(equals: str, text: str, scope: Mapping[str, str]) -> str:
    if not equals:
        return scope[text]
    python = re.sub(r"[a-z]+\.[a-z_.]+", lambda name: f"scope['{name[0]}']", text)
    python = re.sub(r"(.*?) \? (.*) : (.*)", r"\2 if \1 else \3", python)
    functions = {"toJson": json.dumps, "jsonpath": lambda text, path: json.loads(text)[path.removeprefix("$.")]}
    return str(eval(python, {"scope": scope, **functions}))  # noqa: S307 - the expression is from our own manifests


def ray_job(**others: str) -> dict[str, Any]:
    """Return the RayJob as Argo submits it to the cluster."""
    body = called("fmnist-train", {"template": "train"}).body
    return dict(yaml.safe_load(render(body["resource"]["manifest"], scope(**others))))


def pods() -> dict[str, Document]:
    """Return the pods of Ray's clusters by their purpose."""
    found = {}
    for what, cluster in (
        ("training", ray_job()["spec"]["rayClusterSpec"]),
        ("service", spec("RayService", "fmnist")["rayClusterConfig"]),
    ):
        for group in (cluster["headGroupSpec"], *cluster["workerGroupSpecs"]):
            found[f"{what} {group.get('groupName', 'head')}"] = group["template"]["spec"]
    return found


def containers() -> dict[str, Document]:
    """Return all of our containers, with their defaults filled in."""
    found = {name: pod["containers"][0] for name, pod in pods().items()}
    defaults = spec("WorkflowTemplate", "fmnist-pipeline")["templateDefaults"]["container"]
    for template in templates():
        if own := template.body.get("container"):
            env = [*defaults["env"], *own.get("env", [])]
            found[template.name] = {**defaults, **own, "env": env}
    return found


def found_in(value: Any, key: str) -> Iterator[Any]:
    """Return every value of this key at any depth, also inside of strings that are YAML."""
    if isinstance(value, Mapping):
        for name, child in value.items():
            if name == key:
                yield child
            yield from found_in(child, key)
    elif isinstance(value, list):
        for child in value:
            yield from found_in(child, key)


def variables(value: Any) -> set[str]:
    """Return every variable in a `{{...}}` of a string, or of all strings inside of a value."""
    tags = re.findall(r"\{\{(.*?)\}\}", yaml.safe_dump(value, width=2**16), re.DOTALL)
    words = [re.sub(r"'[^']*'", "", tag) if tag.startswith("=") else tag for tag in tags]
    return {name for word in words for name in re.findall(r"[a-z]+\.[\w.-]+", word)}


def _below(path: tuple[Template, ...]) -> Iterator[tuple[Template, ...]]:
    yield path
    for task in path[-1].tasks:
        yield from _below((*path, called(path[-1].home, task)))
