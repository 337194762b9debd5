"""GitHub's workflows agree with the pipeline, the images, and the project's own checks."""

import importlib.util
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from fnmatch import fnmatch
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from types import ModuleType
from typing import Any

import grimp
import pytest
from ruamel.yaml import YAML

ROOT = Path(__file__).parents[2]
# The containers that an image's processes use. The image runs the code that these import.
CONTAINERS = {
    "training": ("data", "train", "predict", "promote", "deploy"),
    "serving": ("serve", "smoke"),
}


def load(path: str) -> Any:
    return YAML(typ="safe").load(ROOT / path)


def workflow(name: str) -> Any:
    return load(f".github/workflows/{name}.yaml")


def submit_script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("submit_pipeline", ROOT / ".github/scripts/submit_pipeline.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@contextmanager
def argo_server(status: int, answer: Any) -> Iterator[tuple[str, list[Any]]]:
    """Run a fake Argo server, and yield its address and the list of its requests."""
    asked: list[Any] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            asked.append((self.path, self.headers["Authorization"], body))
            self.send_response(status)
            self.end_headers()
            self.wfile.write(json.dumps(answer).encode())

        def log_message(self, *_: object) -> None:
            """Keep the test's output clean."""

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", asked
        finally:
            server.shutdown()
            thread.join()


def test_the_inputs_of_train_are_the_parameters_of_the_pipeline() -> None:
    template = load("deploy/base/pipeline.yaml")
    assert template["metadata"]["name"] == submit_script().TEMPLATE
    parameters = {each["name"]: each for each in template["spec"]["arguments"]["parameters"]}
    inputs = workflow("train")["on"]["workflow_dispatch"]["inputs"]
    assert list(inputs) == list(parameters)
    for name, given in inputs.items():
        parameter = parameters[name]
        default = given.get("default")
        as_argo_takes_it = default if default is None or isinstance(default, str) else json.dumps(default)
        assert as_argo_takes_it == parameter.get("value"), name
        assert given.get("required", False) is ("value" not in parameter), name
        choices = ["true", "false"] if given["type"] == "boolean" else given.get("options")
        assert choices == parameter.get("enum"), name


def test_inputs_reach_argo_under_their_names(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    inputs = {
        "training_args": "--max-epochs 3; $(id)",
        "comparison_higher_is_better": True,
        "comparison_threshold": 0.05,
    }
    with argo_server(200, {"metadata": {"name": "fmnist-pipeline-x7"}}) as (address, asked):
        variables = {"INPUTS": json.dumps(inputs), "ARGO_SERVER": f"{address}/", "ARGO_NAMESPACE": "ml"}
        for name, value in {**variables, "ARGO_TOKEN": "t0ken"}.items():
            monkeypatch.setenv(name, value)
        assert submit_script().main() == 0
    ((path, authorization, body),) = asked
    assert (path, authorization) == ("/api/v1/workflows/ml/submit", "Bearer t0ken")
    assert (body["resourceKind"], body["resourceName"]) == ("WorkflowTemplate", "fmnist-pipeline")
    assert body["submitOptions"]["parameters"] == [
        "training_args=--max-epochs 3; $(id)",
        "comparison_higher_is_better=true",
        "comparison_threshold=0.05",
    ]
    assert "fmnist-pipeline-x7" in capsys.readouterr().out


def test_a_refusal_of_argo_is_shown_and_fails(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with argo_server(403, {"message": "not in this namespace"}) as (address, _):
        for name, value in {"INPUTS": "{}", "ARGO_SERVER": address, "ARGO_NAMESPACE": "ml", "ARGO_TOKEN": "t"}.items():
            monkeypatch.setenv(name, value)
        assert submit_script().main() == 1
    assert '403: {"message": "not in this namespace"}' in capsys.readouterr().err
    monkeypatch.setenv("ARGO_SERVER", "https://user:s3cret@argo.invalid")
    assert submit_script().main() == 2
    said = capsys.readouterr().err
    assert "ARGO_SERVER must hold no user or password" in said
    assert "s3cret" not in said
    monkeypatch.setenv("ARGO_TOKEN", "")
    assert submit_script().main() == 2
    assert "ARGO_TOKEN" in capsys.readouterr().err


def test_images_are_pushed_to_the_registry_that_the_pipeline_uses() -> None:
    pushed = workflow("ci-docker-build-push")["jobs"]["image"]["env"]["IMAGE"]
    parameters = load("deploy/base/parameters.yaml")["data"]
    for target in CONTAINERS:
        assert parameters[f"{target}_image"] == pushed.replace("${{ matrix.target }}", target)


@pytest.mark.parametrize("target", CONTAINERS)
def test_an_image_is_built_when_its_code_changes(target: str) -> None:
    (step,) = [step for step in workflow("ci-docker-build-push")["jobs"]["changes"]["steps"] if "id" in step]
    filters = YAML(typ="safe").load(step["with"]["filters"])
    assert set(filters) == set(CONTAINERS)
    including, *excluding = filters[target]
    patterns = including.strip("{}").split(",")
    graph = grimp.build_graph("fmnist")
    containers = {f"fmnist.apps.containers.{name}" for name in CONTAINERS[target]}
    imported = containers.union(*(graph.find_upstream_modules(name) for name in containers))
    for module in imported:
        path = f"src/{module.replace('.', '/')}"
        file = f"{path}.py" if (ROOT / f"{path}.py").is_file() else f"{path}/__init__.py"
        assert any(fnmatch(file, pattern) for pattern in patterns), file
        assert not any(fnmatch(file, pattern.removeprefix("!")) for pattern in excluding), file
    context = re.findall(r"^!(.+)$", (ROOT / ".dockerignore").read_text(encoding="utf-8"), re.MULTILINE)
    assert {path if (ROOT / path).is_file() else f"{path}/**" for path in context} < set(patterns)


def test_github_runs_the_same_checks_as_the_project_s_script() -> None:
    script = re.findall(r"^make (\w+)$", (ROOT / ".ci/run").read_text(encoding="utf-8"), re.MULTILINE)
    assert workflow("ci-code-quality")["jobs"]["check"]["strategy"]["matrix"]["target"] == script
