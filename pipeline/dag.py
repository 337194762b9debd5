"""Walks the tasks of a WorkflowTemplate in Argo's order and by Argo's rules, one at a time. It starts no process."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from pipeline.expressions import BadInput, Status, dependencies, fulfilled, holds, is_true, render
from pipeline.templates import Document, Library, in_order, parameters


@dataclass(frozen=True, slots=True)
class Outcome:
    """How something ended, with its output parameters, what there is to tell of it, and a process's exit code."""

    status: Status
    outputs: Mapping[str, str] = field(default_factory=dict)
    message: str = ""
    code: int = 0


@dataclass(frozen=True, slots=True)
class Step:
    """A template that is a step of its own: what it runs, with its inputs filled in, and where its outputs will be."""

    name: str
    body: Document
    outputs: list[Document]


Run = Callable[[Step], Outcome]
Tell = Callable[[str, Outcome, float], None]
# What a step that failed is tried again by; the other policies are for pods that are lost, and here is none.
_RETRIED = {"Always", "OnFailure"}


class Walk:
    """One workflow.

    Args:
        library: of the templates, which were checked.
        run: runs a step to its end.
        tell: is told of each task that ended or was passed over, with its seconds.
    """

    def __init__(self, library: Library, run: Run, tell: Tell) -> None:
        self._library = library
        self._run = run
        self._tell = tell
        self._scope: dict[str, str] = {}
        self._defaults: Document = {}

    def workflow(self, name: str, uid: str, given: Mapping[str, str]) -> Outcome:
        """Walk a WorkflowTemplate with the parameters given, the others being at their defaults."""
        spec = self._library.get("WorkflowTemplate", name)["spec"]
        declared = parameters(spec, "arguments")
        if unknown := sorted(set(given) - {parameter["name"] for parameter in declared}):
            names = ", ".join(parameter["name"] for parameter in declared)
            raise BadInput(f"{name} has no parameter {', '.join(unknown)}: it has {names}")
        values = self._library.values(declared, given, {})
        self._defaults = spec.get("templateDefaults", {})
        self._scope = {"workflow.uid": uid, "workflow.name": f"{name}-{uid[:5]}"}
        self._scope |= {f"workflow.parameters.{key}": value for key, value in values.items()}
        return self._task(name, {"template": spec["entrypoint"]}, "", self._scope)

    def _task(self, home: str, task: Document, name: str, scope: Mapping[str, str]) -> Outcome:
        home, template = self._library.template(home, task)
        given = {each["name"]: render(str(each["value"]), scope) for each in parameters(task, "arguments")}
        inputs = self._library.values(parameters(template, "inputs"), given, self._scope)
        inner = self._scope | {f"inputs.parameters.{key}": value for key, value in inputs.items()}
        retry = {**self._defaults, **template}.get("retryStrategy") or {}
        left = int(retry.get("limit", 0)) if retry.get("retryPolicy", "OnFailure") in _RETRIED else 0
        while True:
            if "dag" in template:
                outcome = self._dag(home, template, inner, name)
            else:
                outcome = self._run(Step(name, self._body(template, inner), parameters(template, "outputs")))
            mendable = is_true(retry.get("expression", "true"), {"lastRetry.exitCode": str(outcome.code)})
            if outcome.status is not Status.FAILED or not left or not mendable:
                return outcome
            left -= 1

    def _body(self, template: Document, scope: Mapping[str, str]) -> Document:
        """Return what a template runs, over the defaults that the workflow has for its kind."""
        (kind,) = {"container", "resource", "suspend"} & set(template)
        default, own = self._defaults.get(kind) or {}, template[kind] or {}
        merged = {**default, **own}
        if kind == "container":
            environment = {each["name"]: each for each in [*default.get("env", []), *own.get("env", [])]}
            merged["env"] = list(environment.values())
        body: Document = {kind: render(merged, scope)}
        return body

    def _dag(self, home: str, template: Document, scope: Mapping[str, str], path: str) -> Outcome:
        tasks = {task["name"]: task for task in template["dag"]["tasks"]}
        ended: dict[str, Outcome] = {}
        known = dict(scope)
        for name in in_order(tasks):
            place, began = f"{path}/{name}".lstrip("/"), time.monotonic()
            ended[name] = outcome = self._one(home, tasks[name], place, known, ended)
            known |= {f"tasks.{name}.outputs.parameters.{key}": value for key, value in outcome.outputs.items()}
            known[f"tasks.{name}.status"] = outcome.status
            self._tell(place, outcome, time.monotonic() - began)
        return Outcome(_phase(tasks, ended))

    def _one(
        self, home: str, task: Document, place: str, scope: Mapping[str, str], ended: Mapping[str, Outcome]
    ) -> Outcome:
        if not fulfilled(task.get("depends", "true"), lambda other: ended[other].status):
            return Outcome(Status.OMITTED)
        if not holds(task.get("when", "true"), scope):
            return Outcome(Status.SKIPPED)
        return self._task(home, task, place, scope)


def _phase(tasks: Mapping[str, Document], ended: Mapping[str, Outcome]) -> Status:
    """How a DAG ended: failed when one of its last tasks did, or came not to run because of one that had.

    A failure that another task was there for, and dealt with, is none of the DAG's.
    """
    failed: dict[str, bool] = {}
    last = set(tasks)
    for name in in_order(tasks):
        before = dependencies(tasks[name].get("depends", "true"))
        last -= before
        ran = ended[name].status in {Status.SUCCEEDED, Status.FAILED}
        failed[name] = ended[name].status is Status.FAILED if ran else any(failed[each] for each in before)
    return Status.FAILED if any(failed[name] for name in last) else Status.SUCCEEDED
