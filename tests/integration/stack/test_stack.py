"""`python -m stack`: its services listen only on loopback, are restarted when they fail, and leave no process."""

import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import psutil
import pytest

from stack.local import LocalStack
from stack.services import ObjectStore, Service, StackError, free_ports
from stack.supervision import Supervisor, links

ROOT = Path(__file__).parents[3]
SERVICES = ["object-store", "mlflow", "git", "ray"]
LOOPBACK = {"127.0.0.1", "::1", "::ffff:127.0.0.1"}


@dataclass
class Stack:
    """The command, with its own state directory and ports."""

    home: Path
    env_file: Path
    variables: dict[str, str]

    def __call__(self, *command: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [sys.executable, "-m", "stack", "--env-file", str(self.env_file), *command],
            cwd=ROOT,
            env={**os.environ, "FMNIST_HOME": str(self.home)},
            capture_output=True,
            text=True,
            check=False,
        )

    @property
    def family(self) -> list[psutil.Process]:
        """Return supervisord and all of its child processes."""
        parent = psutil.Process(int((self.home / "stack/supervisord.pid").read_text()))
        return [parent, *parent.children(recursive=True)]

    def process(self, program: str) -> psutil.Process:
        """Return the process of a service, by a word of its command line."""
        return next(each for each in self.family[0].children() if program in " ".join(each.cmdline()))


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    s3, mlflow, git, ray, dashboard = free_ports(5)
    moved = {"9000": s3, "5000": mlflow, "9418": git, "6379": ray, "8265": dashboard}
    text = (ROOT / ".env.docker").read_text()
    for port, other in moved.items():
        text = text.replace(f"127.0.0.1:{port}", f"127.0.0.1:{other}")
    env_file = tmp_path / ".env.docker"
    env_file.write_text(text)
    lines = [line.partition("=") for line in text.splitlines() if line and not line.startswith("#")]
    command = Stack(tmp_path / "a home; with an odd name", env_file, {name: value for name, _, value in lines})
    yield command
    command("stop")


def test_stack_starts_only_on_loopback_is_repaired_and_stops_without_a_trace(stack: Stack) -> None:
    assert stack("status").returncode == 1

    done = stack("start")
    assert done.returncode == 0, done.stdout + done.stderr
    assert [line.split()[:2] for line in done.stdout.splitlines()[:4]] == [[name, "started"] for name in SERVICES]
    assert stack("status").returncode == 0

    family = stack.family
    listening = {
        connection.laddr.ip
        for process in family
        for connection in process.net_connections()
        if connection.status == psutil.CONN_LISTEN
    }
    assert listening <= LOOPBACK
    secret = stack.variables["AWS_SECRET_ACCESS_KEY"]
    assert not [process for process in family if secret in " ".join(process.cmdline())], (
        "other users can see a command line"
    )

    store = ObjectStore(
        int(stack.variables["AWS_ENDPOINT_URL"].rpartition(":")[2]), stack.variables["AWS_ACCESS_KEY_ID"], secret
    )
    buckets = {bucket["Name"] for bucket in store.client().list_buckets()["Buckets"]}
    assert buckets == {"dvcstore", "mlflow", "ray-results"}
    store.client().put_object(Bucket="dvcstore", Key="kept", Body=b"over a restart")
    refs = subprocess.run(["git", "ls-remote", stack.variables["DVC_REPO_URL"]], capture_output=True, check=False)
    assert (refs.returncode, refs.stdout) == (0, b"")

    # supervisord restarts killed services. `start` waits for them and creates what is missing.
    killed = stack.process("weed")
    killed.kill()
    psutil.wait_procs([killed], timeout=10)
    store_again = stack("start")
    assert store_again.returncode == 0, store_again.stderr
    assert stack("status").returncode == 0
    assert store.client().get_object(Bucket="dvcstore", Key="kept")["Body"].read() == b"over a restart"
    store.client().delete_bucket(Bucket="ray-results")
    before = stack.process("mlflow")
    assert stack("restart", "mlflow").stdout.split()[:2] == ["mlflow", "started"]
    assert not before.is_running()
    assert [line.split()[1] for line in stack("start").stdout.splitlines()[:4]] == ["runs"] * 4
    assert {bucket["Name"] for bucket in store.client().list_buckets()["Buckets"]} == buckets

    family = stack.family
    links_directory = links(stack.home / "stack")
    assert stat.S_IMODE(links_directory.stat().st_mode) == 0o700
    assert stack("stop").returncode == 0
    # Without a parent that waits for it, supervisord stays a zombie here.
    assert [each for each in family if each.is_running() and each.status() != psutil.STATUS_ZOMBIE] == []
    assert [line.split(maxsplit=1)[1] for line in stack("stop").stdout.splitlines()] == ["did not run"] * 4
    logs = stack.home / "stack/logs"
    assert {f"{name}.log" for name in SERVICES} <= {path.name for path in logs.iterdir()}
    assert list((stack.home / "stack/ray").glob("session_2*/logs/gcs_server.out")), "Ray's logs stay"
    assert not links_directory.exists()


def test_port_of_another_process_is_refused_and_that_process_keeps_running(stack: Stack) -> None:
    port = int(stack.variables["AWS_ENDPOINT_URL"].rpartition(":")[2])
    theirs = subprocess.Popen(
        [sys.executable, "-m", "http.server", "--bind", "127.0.0.1", str(port)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    with theirs:
        assert theirs.stdout is not None
        theirs.stdout.readline()  # wait for its start message
        done = stack("start")
        assert (done.returncode, theirs.poll()) == (1, None)
        assert f"error: object-store: something else listens on 127.0.0.1:{port}" in done.stderr
        theirs.terminate()


def test_service_that_ends_at_once_is_shown_with_the_end_of_its_log_and_not_retried(stack: Stack) -> None:
    (stack.home / "stack/git").parent.mkdir(parents=True)
    (stack.home / "stack/s3").write_text("a file where a directory belongs")
    done = stack("start")
    assert done.returncode == 1
    assert "error: object-store ended at once; the end of " in done.stderr
    assert "a home; with an odd name/stack/s3" in done.stderr
    assert stack("status").stdout.split()[1] in {"STOPPED", "EXITED", "FATAL"}


class Program:
    """A supervisord for one test, whose service `git` is a shell script."""

    def __init__(self, home: Path, patience: float) -> None:
        (port,) = free_ports(1)
        self.service = Service("git", (), f"tcp://127.0.0.1:{port}", home, patience=patience)
        self.supervisor = Supervisor(home, os.environ)

    def runs(self, script: str, monkeypatch: pytest.MonkeyPatch, directory: Path) -> None:
        text = (ROOT / "stack/supervisord.conf").read_text().replace("python -m stack run git", f"sh -c '{script}'")
        (directory / "supervisord.conf").write_text(text)
        monkeypatch.setattr("stack.supervision._CONFIGURATION", directory / "supervisord.conf")


@pytest.fixture
def program(tmp_path: Path) -> Iterator[Program]:
    program = Program(tmp_path / "stack", patience=20)
    yield program
    program.supervisor.stop(program.service)
    program.supervisor.end()


def test_service_that_ends_later_is_shown_and_not_restarted(
    program: Program, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program.runs("sleep 2; exit 1", monkeypatch, tmp_path)
    with pytest.raises(StackError, match="git ended at once"):
        program.supervisor.start(program.service)
    assert program.supervisor.state(program.service) in {"STOPPED", "EXITED"}


def test_service_that_does_not_answer_is_stopped(
    program: Program, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program.runs("exec sleep 600", monkeypatch, tmp_path)
    program.service = replace(program.service, patience=2)
    with pytest.raises(StackError, match=r"git does not answer at .* within 2 s"):
        program.supervisor.start(program.service)
    assert program.supervisor.state(program.service) == "STOPPED"


def test_services_inherit_the_umask(program: Program, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program.runs("umask; exit 1", monkeypatch, tmp_path)
    before = os.umask(0o037)
    try:
        with pytest.raises(StackError, match="0037"):
            program.supervisor.start(program.service)
    finally:
        os.umask(before)


def test_directory_has_one_supervisord_for_every_spelling_of_its_path(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "alias").symlink_to("real")
    assert links(tmp_path / "real") == links(tmp_path / "alias") == links(tmp_path / "x/../real")


def test_services_of_an_earlier_version_are_named(stack: Stack) -> None:
    (stack.home / "stack").mkdir(parents=True)
    (stack.home / "stack/processes.json").touch()
    for command in ("start", "stop"):
        done = stack(command)
        assert (done.returncode, done.stdout) == (1, "")
        assert "error: an earlier version started services here: stop them with that version" in done.stderr


def test_short_directory_of_another_user_is_not_used(tmp_path: Path) -> None:
    theirs = links(tmp_path)
    for make in (theirs.touch, lambda: theirs.symlink_to(tmp_path), lambda: theirs.symlink_to("absent")):
        make()
        try:
            with pytest.raises(StackError, match="is not a private directory of this user"):
                Supervisor(tmp_path, os.environ).start(Service("git", (), "tcp://127.0.0.1:1", tmp_path))
        finally:
            theirs.unlink()


def test_registry_is_created_in_its_place_also_in_a_git_hook(
    stack: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("GIT_DIR", "GIT_WORK_TREE", "GIT_OBJECT_DIRECTORY"):
        monkeypatch.setenv(name, str(tmp_path / "of-the-hook"))
    local = LocalStack(tmp_path, stack.variables)
    local.prepare(next(service for service in local.services() if service.name == "git"))
    assert (tmp_path / "git/data-registry.git/objects").is_dir()
    assert not (tmp_path / "of-the-hook").exists()
