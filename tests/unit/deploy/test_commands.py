"""`fmnist` accepts every command line in a manifest, and writes the outputs that the manifest reads."""

import shlex
from pathlib import PurePosixPath
from typing import Any

import pytest
import typer
from typer.core import TyperGroup

from fmnist.apps.cli import app
from tests.unit.deploy.manifests import Template, get, ray_job, render, scope, templates

STEPS = [template for template in templates() if "container" in template.body]
every_step = pytest.mark.parametrize("step", STEPS, ids=lambda step: step.name)


def parsed(arguments: list[str]) -> Any:
    """Parse a command line as a process would, but do not run the command."""
    command: Any = typer.main.get_command(app)
    context = command.make_context("fmnist", list(arguments))
    while isinstance(command, TyperGroup):
        name, command, rest = command.resolve_command(context, [*context._protected_args, *context.args])
        context = command.make_context(name, rest, parent=context)
    return context


def command_line(step: Template, **inputs: str) -> list[str]:
    container = step.body["container"]
    assert container["command"] == ["fmnist"]
    return list(render(container["args"], scope(**inputs)))


@every_step
def test_fmnist_accepts_the_command_of_every_step(step: Template) -> None:
    parsed(command_line(step))


@pytest.mark.parametrize(("higher", "understood"), [("true", True), ("false", False)])
def test_direction_of_the_metric_reaches_the_comparison(higher: str, understood: bool) -> None:
    (step,) = (step for step in STEPS if step.body["name"] == "compare")
    assert parsed(command_line(step, higher_is_better=higher)).params["higher_is_better"] is understood


@pytest.mark.parametrize("text", ["-v", "two words; and $more", ""])
@pytest.mark.parametrize("name", ["approve", "rollback"])
def test_free_text_of_a_person_stays_one_argument(name: str, text: str) -> None:
    (step,) = (step for step in STEPS if step.body["name"] == name)
    assert parsed(command_line(step, reason=text)).params["reason"] == text


@every_step
def test_every_output_is_a_file_that_the_command_writes(step: Template) -> None:
    context = parsed(command_line(step))
    directory = context.params.get("output_dir")
    files = [each["valueFrom"]["path"] for each in step.parameters("outputs").values()]
    files += [each["path"] for each in step.body.get("outputs", {}).get("artifacts", [])]
    if files:
        (option,) = (option for option in context.command.params if option.name == "output_dir")
        told = getattr(option, "help", "").removeprefix("Directory for the output files: ").removesuffix(".")
        written = told.replace(" and", ",").split(", ")
        assert {PurePosixPath(file).parent for file in files} == {PurePosixPath(directory)}
        assert {PurePosixPath(file).name for file in files} <= set(written)


@pytest.mark.parametrize("compute_type", get("ConfigMap", "fmnist-compute-types")["data"].values())
def test_the_training_job_has_the_workers_of_its_compute_type(compute_type: str) -> None:
    job = ray_job(compute=compute_type)
    program, *arguments = shlex.split(job["spec"]["entrypoint"])
    options = parsed(arguments).params
    (group,) = job["spec"]["rayClusterSpec"]["workerGroupSpecs"]
    limits = group["template"]["spec"]["containers"][0]["resources"]["limits"]
    assert program == "fmnist"
    assert (options["num_workers"], options["gpu_per_worker"]) == (group["replicas"], float(limits["nvidia.com/gpu"]))
    assert (options["max_epochs"], options["limit_train"]) == (3, 1000)


def test_training_args_override_the_compute_type() -> None:
    _, *arguments = shlex.split(ray_job(training_args="--num-workers 4")["spec"]["entrypoint"])
    assert parsed(arguments).params["num_workers"] == 4


@pytest.mark.parametrize("text", ['--run-name "a b"', "--run-name x\nsuspend: true", "--run-name 'x: {}' # no"])
def test_training_args_change_nothing_else_of_the_job(text: str) -> None:
    job = ray_job(training_args=text)
    assert job["spec"].pop("entrypoint").endswith(text)
    assert job["spec"] == {key: value for key, value in ray_job()["spec"].items() if key != "entrypoint"}
