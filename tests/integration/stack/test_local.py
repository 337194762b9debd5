"""What the stack knows of a service that it has started, whatever became of the service meanwhile."""

import json
import os
import shutil
import signal
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from dotenv import dotenv_values

from stack.local import LocalStack
from stack.process import Service, StackError, answers
from stack.services import HOST, ObjectStore, free_ports

# That a service outlives whoever started it is the point of a stack.
pytestmark = pytest.mark.filterwarnings("ignore:subprocess .* is still running:ResourceWarning")
ENV_FILE = Path(__file__).parents[3] / ".env.docker"


@pytest.fixture
def variables() -> dict[str, str]:
    s3, git = free_ports(2)
    given = {name: value or "" for name, value in dotenv_values(ENV_FILE).items()}
    return {**given, "AWS_ENDPOINT_URL": f"http://{HOST}:{s3}", "DVC_REPO_URL": f"git://{HOST}:{git}/registry.git"}


@pytest.fixture
def stack(tmp_path: Path, variables: dict[str, str]) -> Iterator[LocalStack]:
    stack = LocalStack(tmp_path, variables)
    yield stack
    for service in stack.services():
        stack.stop(service)


@pytest.fixture
def git(stack: LocalStack) -> Service:
    """The service that is two processes: `git`, and the `git-daemon` that it runs."""
    return next(service for service in stack.services() if service.name == "git")


@pytest.fixture
def record(tmp_path: Path) -> Callable[[float], None]:
    """Move the time at which services were made, as the stack has noted it."""

    def move(seconds: float) -> None:
        file = tmp_path / "processes.json"
        records = json.loads(file.read_text())
        for each in records.values():
            each["created"] += seconds
        file.write_text(json.dumps(records))

    return move


def test_registry_is_made_in_its_place_in_whatever_git_hook(
    stack: LocalStack, git: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("GIT_DIR", "GIT_WORK_TREE", "GIT_OBJECT_DIRECTORY"):
        monkeypatch.setenv(name, str(tmp_path / "of-the-hook"))
    stack.start(git)
    assert (tmp_path / "git/registry.git/objects").is_dir()
    assert not (tmp_path / "of-the-hook").exists()


def test_children_of_a_service_that_was_killed_are_found_and_replaced(stack: LocalStack, git: Service) -> None:
    assert stack.start(git)
    killed = stack.state(git).process
    assert killed is not None
    child, *_ = killed.children()  # and for a moment one for each caller
    os.kill(killed.pid, signal.SIGKILL)
    killed.wait()
    assert answers(git.address), "the child goes on"
    state = stack.state(git)
    assert (state.process, state.healthy) == (None, False)
    assert state.orphans >= 1

    assert stack.start(git), "anew"
    assert not child.is_running()
    assert stack.state(git).healthy


def test_children_of_a_service_that_was_killed_are_stopped(stack: LocalStack, git: Service) -> None:
    stack.start(git)
    killed = stack.state(git).process
    assert killed is not None
    os.kill(killed.pid, signal.SIGKILL)
    killed.wait()
    assert stack.stop(git)
    assert not answers(git.address)
    assert not stack.stop(git)


def test_clock_that_was_set_makes_no_service_unknown(
    stack: LocalStack, git: Service, record: Callable[[float], None]
) -> None:
    stack.start(git)
    for step in (-2.0, 4.0):
        record(step)
        assert stack.state(git).healthy


def test_number_that_was_given_away_again_is_nobody_s(
    stack: LocalStack, git: Service, record: Callable[[float], None]
) -> None:
    stack.start(git)
    for step in (-60.0, 120.0):
        record(step)
        assert stack.state(git).process is None
    record(-60.0)
    assert stack.state(git).healthy


def test_start_that_was_broken_off_before_the_repository_was_made_is_made_up_for(
    stack: LocalStack, git: Service, tmp_path: Path
) -> None:
    stack.start(git)
    shutil.rmtree(tmp_path / "git/registry.git")
    assert not stack.start(git), "it runs already"
    assert (tmp_path / "git/registry.git/HEAD").is_file()


def test_start_that_was_broken_off_before_the_buckets_were_made_is_made_up_for(
    stack: LocalStack, variables: dict[str, str]
) -> None:
    service = stack.services()[0]
    stack.start(service)
    port = int(variables["AWS_ENDPOINT_URL"].rpartition(":")[2])
    client = ObjectStore(port, variables["AWS_ACCESS_KEY_ID"], variables["AWS_SECRET_ACCESS_KEY"]).client()
    client.delete_bucket(Bucket="dvcstore")
    assert not stack.start(service), "it runs already"
    assert "dvcstore" in {bucket["Name"] for bucket in client.list_buckets()["Buckets"]}


def test_whatever_listens_at_the_address_of_a_service_is_told_even_when_it_says_nothing(
    stack: LocalStack, variables: dict[str, str]
) -> None:
    port = int(variables["AWS_ENDPOINT_URL"].rpartition(":")[2])
    with (
        socket.create_server((HOST, port)),
        pytest.raises(StackError, match=f"object-store: something else listens on {HOST}:{port}"),
    ):
        stack.start(stack.services()[0])
