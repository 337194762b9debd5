"""Runs the steps of a workflow as processes of this machine: a container's command, a RayJob's entrypoint."""

import os
import subprocess
import sys
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path, PurePosixPath
from typing import Any

import psutil
import yaml

from pipeline.dag import Outcome, Step
from pipeline.expressions import PipelineError, Status
from pipeline.templates import Document
from stack.process import stop

_LAST_LINES = 15
_SHELL = "/bin/sh"


class Steps:
    """Steps with a directory each below `home`, for what they print and what they leave.

    Args:
        environment: stands for the ConfigMaps and Secrets of the cluster; what a template says itself is put over it.
    """

    def __init__(self, home: Path, environment: Mapping[str, str]) -> None:
        self._home = home
        beside = os.pathsep.join([str(Path(sys.executable).parent), environment.get("PATH", os.defpath)])
        self._environment = {**environment, "PATH": beside}

    def run(self, step: Step) -> Outcome:
        """Run a step to its end."""
        directory = self._home / step.name
        directory.mkdir(parents=True, exist_ok=True)
        if "suspend" in step.body:
            return _suspended(step)
        if "container" in step.body:
            container = step.body["container"]
            command = _at_home([*container.get("command", []), *container.get("args", [])], step.outputs, directory)
            variables = literal_environment(container)
        else:
            command, variables = _ray_job(step.body["resource"])
        log = directory / "log"
        code = self._execute(command, variables, log)
        if code:
            last = log.read_text(encoding="utf-8", errors="replace").splitlines()[-_LAST_LINES:]
            return Outcome(Status.FAILED, message="\n".join([f"exit code {code}; the end of {log}:", *last]), code=code)
        return _with_outputs(step, directory)

    def _execute(self, command: list[str], variables: Mapping[str, str], log: Path) -> int:
        with log.open("ab") as output:
            try:
                process = psutil.Popen(
                    command,
                    env={**self._environment, **variables},
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
            except FileNotFoundError as error:
                raise PipelineError(f"{command[0]} is not on this machine, which {log.parent.name} runs") from error
            try:
                return int(process.wait())
            finally:
                with suppress(psutil.NoSuchProcess):
                    for child in process.children() if command[0] == _SHELL else ():
                        child.terminate()  # a shell that is told to end does not tell it
                stop(process)


def literal_environment(container: Document) -> dict[str, str]:
    """Return the variables that a container has values for; what is in a Secret is the caller's to have."""
    return {each["name"]: str(each["value"]) for each in container.get("env", []) if "value" in each}


def _ray_job(resource: Document) -> tuple[list[str], dict[str, str]]:
    """Return what Ray would run, in a shell as Ray does, and the environment of the head that it would run on."""
    manifest = yaml.safe_load(resource["manifest"])
    if manifest.get("kind") != "RayJob":
        raise PipelineError(f"a resource of kind {manifest.get('kind')} cannot be made here: expected a RayJob")
    pod = manifest["spec"]["rayClusterSpec"]["headGroupSpec"]["template"]["spec"]
    return [_SHELL, "-c", manifest["spec"]["entrypoint"]], literal_environment(pod["containers"][0])


def _at_home(command: list[str], outputs: Iterable[Document], directory: Path) -> list[str]:
    """Move the directories that outputs are read from out of the container's file system, which is not there."""
    roots = {str(PurePosixPath(each["valueFrom"]["path"]).parent) for each in outputs if "path" in each["valueFrom"]}
    for root in roots:
        command = [word.replace(root, f"{directory}{root}") for word in command]
    return command


def _with_outputs(step: Step, directory: Path) -> Outcome:
    outputs: dict[str, str] = {}
    for each in step.outputs:
        source: dict[str, Any] = each["valueFrom"]
        file = Path(f"{directory}{source['path']}")
        if file.exists():
            outputs[each["name"]] = file.read_text(encoding="utf-8").rstrip("\n")
        elif "default" in source:
            outputs[each["name"]] = str(source["default"])
        else:
            return Outcome(Status.FAILED, message=f"it left no output {each['name']} in {file}")
    return Outcome(Status.SUCCEEDED, outputs, outputs.get("message", ""))


def _suspended(step: Step) -> Outcome:
    """Wait for a person, who says what the step's outputs are to be."""
    asked = [each["name"] for each in step.outputs]
    if not sys.stdin.isatty():
        return Outcome(Status.FAILED, message=f"{step.name} waits for a person ({', '.join(asked)}): use a terminal")
    answers = {name: input(f"{step.name}: {name}? ").strip() for name in asked or ["go on (yes or no)"]}
    refused = not all(answers.values()) or "no" in answers.values()
    return Outcome(Status.FAILED if refused else Status.SUCCEEDED, answers, f"by {answers.get('by', 'a person')}")
