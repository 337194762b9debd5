"""Steps run as processes, with the environment that they say, outputs that can be read, and words when they fail."""

import io
import os
import signal
import sys
import threading
from pathlib import Path
from typing import Any

import psutil
import pytest
import yaml

from fmnist.apps.process import HungUp, Terminated, take_signals
from pipeline.dag import Step
from pipeline.expressions import PipelineError, Status
from pipeline.steps import Steps

OUTPUTS = [{"name": "said", "valueFrom": {"path": "/tmp/outputs/said"}}]  # noqa: S108 - in a container that is not there


def container(script: str, outputs: list[Any], env: list[Any] | None = None, name: str = "deliver/say") -> Step:
    body = {"command": ["sh", "-c"], "args": [f"mkdir -p /tmp/outputs; {script}"], "env": env or []}
    return Step(name, {"container": body}, outputs)


@pytest.fixture
def steps(tmp_path: Path) -> Steps:
    return Steps(tmp_path / "steps", {"GIVEN": "given", "BOTH": "given", "PATH": "/usr/bin:/bin"})


def test_outputs_are_read_where_the_command_was_told_to_write(steps: Steps, tmp_path: Path) -> None:
    outcome = steps.run(container("echo hello | tee /tmp/outputs/said", OUTPUTS))
    assert (outcome.status, outcome.outputs) == (Status.SUCCEEDED, {"said": "hello"})
    assert (tmp_path / "steps/deliver/say/log").read_text() == "hello\n"


def test_output_that_is_not_there_fails_the_step_unless_it_has_a_default(steps: Steps) -> None:
    outcome = steps.run(container("true", OUTPUTS))
    assert outcome.status is Status.FAILED
    assert outcome.message.startswith("it left no output said in ")
    default = [{"name": "said", "valueFrom": {**OUTPUTS[0]["valueFrom"], "default": 3}}]  # type: ignore[dict-item]
    assert steps.run(container("true", default)).outputs == {"said": "3"}


def test_values_of_a_container_are_over_the_environment_and_secrets_are_the_caller_s(steps: Steps) -> None:
    env = [{"name": "BOTH", "value": 7}, {"name": "GIVEN", "valueFrom": {"secretKeyRef": {"name": "a", "key": "b"}}}]
    outcome = steps.run(container('echo "$GIVEN $BOTH" > /tmp/outputs/said', OUTPUTS, env))
    assert outcome.outputs == {"said": "given 7"}


def test_step_that_fails_shows_its_last_lines_and_where_the_rest_is(steps: Steps, tmp_path: Path) -> None:
    outcome = steps.run(container("seq 100; exit 3", OUTPUTS))
    assert (outcome.status, outcome.code) == (Status.FAILED, 3)
    first, *last = outcome.message.splitlines()
    assert first == f"exit code 3; the end of {tmp_path}/steps/deliver/say/log:"
    assert last == [str(number) for number in range(86, 101)]


def test_command_of_this_environment_is_found_first(steps: Steps) -> None:
    assert steps.run(container("command -v python > /tmp/outputs/said", OUTPUTS)).outputs == {
        "said": str(Path(sys.executable).parent / "python")
    }


def test_command_that_is_not_there_is_named(steps: Steps) -> None:
    with pytest.raises(PipelineError, match="no-such-command is not on this machine, which say runs"):
        steps.run(Step("say", {"container": {"command": ["no-such-command"]}}, []))


def ray_job(kind: str = "RayJob", entrypoint: str = 'echo "$BOTH" "a b" "$0"; exit 4') -> Step:
    head = {"env": [{"name": "BOTH", "value": "head"}]}
    cluster = {"headGroupSpec": {"template": {"spec": {"containers": [head]}}}}
    manifest = {"kind": kind, "spec": {"entrypoint": entrypoint, "rayClusterSpec": cluster}}
    return Step("train", {"resource": {"action": "apply", "manifest": yaml.safe_dump(manifest)}}, [])


def test_ray_job_runs_its_entrypoint_in_a_shell_with_the_environment_of_its_head(steps: Steps, tmp_path: Path) -> None:
    assert steps.run(ray_job()).code == 4
    assert (tmp_path / "steps/train/log").read_text() == "head a b /bin/sh\n", "it is the shell that Ray takes"


def test_resource_of_another_kind_is_refused(steps: Steps) -> None:
    with pytest.raises(PipelineError, match="a resource of kind Job cannot be made here: expected a RayJob"):
        steps.run(ray_job("Job"))


@pytest.mark.parametrize(("number", "error"), [(signal.SIGTERM, Terminated), (signal.SIGHUP, HungUp)])
@pytest.mark.parametrize("in_a_shell", [False, True])
def test_interrupted_step_is_told_and_waited_for(
    steps: Steps, tmp_path: Path, number: signal.Signals, error: type[BaseException], in_a_shell: bool
) -> None:
    ended, begun = tmp_path / "ended", tmp_path / "begun"
    os.mkfifo(begun)
    script = tmp_path / "work"
    script.write_text(
        f"#!{sys.executable}\nimport signal, sys, time\nfrom pathlib import Path\n"
        f"signal.signal(signal.SIGTERM, lambda *_: (Path({str(ended)!r}).write_text('in order'), sys.exit(143)))\n"
        f"Path({str(begun)!r}).write_text('.')\ntime.sleep(60)\n"
    )
    script.chmod(0o755)
    step = (
        ray_job(entrypoint=f"{script} --flag")
        if in_a_shell
        else Step("a", {"container": {"command": [str(script)]}}, [])
    )

    def interrupt() -> None:
        begun.read_text()
        os.kill(os.getpid(), number)

    handlers = {each: signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    take_signals()
    try:
        threading.Thread(target=interrupt, daemon=True).start()
        with pytest.raises(error):
            steps.run(step)
    finally:
        for each, handler in handlers.items():
            signal.signal(each, handler)
    assert ended.read_text() == "in order"
    assert psutil.Process().children(recursive=True) == []


SUSPENDED = Step("wait", {"suspend": {}}, [{"name": name, "valueFrom": {"supplied": {}}} for name in ("by", "reason")])


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("typed", "status"), [("A. Person\nlooked at\n", Status.SUCCEEDED), ("\n\n", Status.FAILED)], ids=["yes", "no"]
)
def test_suspended_step_asks_whoever_is_at_the_terminal(
    steps: Steps, monkeypatch: pytest.MonkeyPatch, typed: str, status: Status
) -> None:
    monkeypatch.setattr(sys, "stdin", Terminal(typed))
    outcome = steps.run(SUSPENDED)
    assert outcome.status is status
    if status is Status.SUCCEEDED:
        assert outcome.outputs == {"by": "A. Person", "reason": "looked at"}


def test_suspended_step_without_a_terminal_fails_and_says_why(steps: Steps, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("A. Person\nlooked at\n"))
    outcome = steps.run(SUSPENDED)
    assert (outcome.status, outcome.message) == (
        Status.FAILED,
        "wait waits for a person (by, reason): use a terminal",
    )
