"""The WorkflowTemplates and ConfigMaps of `deploy/`, as kustomize renders them.

What is not understood is refused before anything runs, for a step that is quietly left out is worse than none.
"""

import subprocess
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Any

import yaml

from pipeline.expressions import BadInput, PipelineError, dependencies, render

Document = Mapping[str, Any]

# What is heeded here, and after `|` what only a cluster has a use for: where and as whom a pod runs, and for how long.
_KNOWN = {
    "workflow": "entrypoint arguments templates templateDefaults | archiveLogs artifactRepositoryRef podGC ttlStrategy "
    "securityContext serviceAccountName volumes",
    "template": "name inputs outputs dag container resource suspend retryStrategy | synchronization metadata volumes "
    "activeDeadlineSeconds podSpecPatch securityContext serviceAccountName automountServiceAccountToken",
    "task": "name depends when template templateRef arguments",
    "dag": "tasks",
    "container": "command args env | image envFrom imagePullPolicy resources securityContext volumeMounts",
    "resource": "manifest action | setOwnerReference successCondition failureCondition",
    "retryStrategy": "limit retryPolicy expression | backoff",
    "suspend": "",
    "arguments": "parameters",
    "inputs": "parameters",
    "outputs": "parameters | artifacts",
    "parameter": "name value valueFrom enum default | description",
    "valueFrom": "configMapKeyRef path supplied default",
}


@dataclass(frozen=True, slots=True)
class Library:
    """Documents of a cluster, by kind and name."""

    documents: Mapping[tuple[str, str], Document]

    @classmethod
    def parse(cls, text: str) -> "Library":
        """Read a stream of documents."""
        documents = [document for document in yaml.safe_load_all(text) if document]
        return cls({(document["kind"], document["metadata"]["name"]): document for document in documents})

    @classmethod
    def render(cls, directory: Path) -> "Library":
        """Read what kustomize makes of a directory."""
        kubectl = Path(sys.executable).with_name("kubectl")
        done = subprocess.run([kubectl, "kustomize", directory], capture_output=True, text=True, check=False)
        if done.returncode:
            raise PipelineError(f"{directory} cannot be rendered: {done.stderr.strip()}")
        return cls.parse(done.stdout)

    def get(self, kind: str, name: str) -> Document:
        """Return the document of that kind and name."""
        if (kind, name) not in self.documents:
            there = sorted(name for found, name in self.documents if found == kind)
            raise BadInput(f"there is no {kind} {name}: {', '.join(there) or 'none'} are there")
        return self.documents[kind, name]

    def replace(self, kind: str, name: str, **data: str) -> "Library":
        """Return the same with other data in a ConfigMap."""
        document = self.get(kind, name)
        return Library({**self.documents, (kind, name): {**document, "data": {**document["data"], **data}}})

    def template(self, home: str, task: Document) -> tuple[str, Document]:
        """Return what a task of the WorkflowTemplate `home` runs, and the WorkflowTemplate that this is in."""
        reference = task.get("templateRef") or {"name": home, "template": task.get("template")}
        for template in self.get("WorkflowTemplate", reference["name"])["spec"]["templates"]:
            if template["name"] == reference["template"]:
                return reference["name"], template
        raise PipelineError(f"WorkflowTemplate {reference['name']} has no template {reference['template']}")

    def check(self, name: str) -> None:
        """See that a WorkflowTemplate and all that it leads to can be walked."""
        spec = self.get("WorkflowTemplate", name)["spec"]
        _check("workflow", spec, name)
        _check_parameters("arguments", spec, name)
        _check("template", spec.get("templateDefaults", {}), f"the templateDefaults of {name}")
        _check("container", spec.get("templateDefaults", {}).get("container", {}), f"the templateDefaults of {name}")
        self._check_template(name, {"template": spec["entrypoint"]}, (name,))

    def values(
        self, parameters: Iterable[Document], given: Mapping[str, str], scope: Mapping[str, str]
    ) -> dict[str, str]:
        """Return the value of each parameter: the one given, its own, or that of a ConfigMap."""
        values = {}
        for parameter in parameters:
            name, source = parameter["name"], parameter.get("valueFrom", {}).get("configMapKeyRef")
            if name in given:
                values[name] = given[name]
            elif source:
                key, data = render(source["key"], scope), self.get("ConfigMap", source["name"])["data"]
                if key not in data:
                    raise PipelineError(f"ConfigMap {source['name']} has no {key!r}, only {', '.join(sorted(data))}")
                values[name] = data[key]
            elif "value" in parameter or "default" in parameter:
                values[name] = render(str(parameter.get("value", parameter.get("default"))), scope)
            else:
                raise BadInput(f"parameter {name} has no value")
            if values[name] not in parameter.get("enum", [values[name]]):
                raise BadInput(f"parameter {name} is {values[name]!r}, expected one of {', '.join(parameter['enum'])}")
        return values

    def _check_template(self, home: str, task: Document, path: tuple[str, ...]) -> None:
        home, template = self.template(home, task)
        where = " > ".join([*path, template["name"]])
        if path.count(template["name"]) > 1:
            raise PipelineError(f"{where}: a template that leads to itself never ends")
        _check("template", template, where)
        _check_parameters("inputs", template, where)
        _check_parameters("outputs", template, where)
        kinds = [kind for kind in ("dag", "container", "resource", "suspend") if kind in template]
        if len(kinds) != 1:
            raise PipelineError(f"{where} has {' and '.join(kinds) or 'nothing'} to run, expected one thing")
        for kind in [*kinds, "retryStrategy"]:
            _check(kind, template.get(kind) or {}, where)
        tasks = {each["name"]: each for each in template.get("dag", {}).get("tasks", [])}
        for each in tasks.values():
            _check("task", each, f"{where} > {each['name']}")
            _check_parameters("arguments", each, f"{where} > {each['name']}")
            if unknown := dependencies(each.get("depends", "true")) - set(tasks):
                raise PipelineError(
                    f"{where} > {each['name']} depends on {', '.join(sorted(unknown))}, which is no task"
                )
            self._check_template(home, each, (*path, template["name"]))
        in_order(tasks)


def in_order(tasks: Mapping[str, Document]) -> list[str]:
    """Return tasks so that none comes before what it depends on, else as they are written."""
    before = {name: dependencies(task.get("depends", "true")) for name, task in tasks.items()}
    try:
        sorter = TopologicalSorter({name: sorted(before[name], key=list(tasks).index) for name in tasks})
        return list(sorter.static_order())
    except CycleError as error:
        raise PipelineError(f"tasks wait for each other: {' > '.join(error.args[1])}") from error


def parameters(holder: Document, kind: str) -> list[Document]:
    """Return the parameters of the arguments, inputs or outputs of something."""
    return list((holder.get(kind) or {}).get("parameters") or [])


def _check_parameters(kind: str, holder: Document, where: str) -> None:
    _check(kind, holder.get(kind) or {}, f"{where}, {kind}")
    for parameter in parameters(holder, kind):
        _check("parameter", parameter, f"{where}, {kind}")
        _check("valueFrom", parameter.get("valueFrom", {}), f"{where}, {kind}")


def _check(kind: str, found: Document, where: str) -> None:
    if unknown := sorted(set(found) - set(_KNOWN[kind].replace("|", " ").split())):
        raise PipelineError(f"{where}: {', '.join(unknown)} of a {kind} is not understood here")
