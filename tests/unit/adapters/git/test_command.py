"""Local paths and URLs of repositories are told apart, and messages never show their secrets."""

import signal
import sys
import threading
import time
import traceback
from pathlib import Path

import pytest

from fmnist.adapters.git.command import is_local, run, source_name
from fmnist.domain.model.address import Address
from fmnist.domain.model.errors import StoreUnavailable


@pytest.mark.parametrize(
    ("repo", "name"),
    [
        ("https://host/org/repo.git", "https://host/org/repo.git"),
        ("https://user:secret@host:8443/repo.git", "https://host:8443/repo.git"),
        ("https://secret@host/repo.git?token=secret", "https://host/repo.git"),
        ("ssh://git@host:22/repo.git", "ssh://git@host:22/repo.git"),
        ("ssh://git:secret@host/repo.git", "ssh://git@host/repo.git"),
        ("git@host:org/repo.git", "git@host:org/repo.git"),
        ("file:///srv/repo.git", "file:///srv/repo.git"),
        ("/srv/repo.git", "/srv/repo.git"),
    ],
)
def test_source_names_the_repository_without_its_secrets(repo: str, name: str) -> None:
    assert source_name(Address(repo)) == name


def test_a_relative_path_is_made_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert source_name(Address("registry.git")) == source_name(Address("./registry.git")) == f"{tmp_path}/registry.git"


@pytest.mark.parametrize("repo", ["https://host/x", "ssh://host/x", "file:///x", "git@host:x", "host:x"])
def test_an_address_of_another_machine_is_not_a_local_path(repo: str) -> None:
    assert not is_local(Address(repo))
    assert source_name(Address(repo)) == repo


def test_error_of_a_failing_command_has_its_reason_but_not_its_arguments(tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailable, match=r"^`git ls-remote` failed: .*does not appear to be a git repository$"):
        run(["git", "-c", "core.askPass=", "ls-remote", str(tmp_path)])


def test_a_missing_directory_is_named_and_not_taken_for_a_missing_program(tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailable, match=f"^there is no directory {tmp_path}/gone$"):
        run(["git", "status"], cwd=tmp_path / "gone")


def test_a_missing_program_is_named() -> None:
    with pytest.raises(StoreUnavailable, match="no-such-program is not on this machine"):
        run(["no-such-program"])


class _Interrupted(Exception):
    pass


def _interrupt(*_: object) -> None:
    raise _Interrupted


def test_an_interrupted_command_also_stops_its_child_processes(tmp_path: Path) -> None:
    script = f"sleep 600 & echo $! > {tmp_path}/child; wait"
    before = signal.signal(signal.SIGUSR1, _interrupt)
    threading.Thread(target=_signal_when_idle, args=(threading.get_ident(), tmp_path / "child")).start()
    try:
        with pytest.raises(_Interrupted):
            run(["sh", "-c", script])
    finally:
        signal.signal(signal.SIGUSR1, before)
    child = int((tmp_path / "child").read_text())
    deadline = time.monotonic() + 10
    while _is_running(child):
        assert time.monotonic() < deadline, "the child outlived the command"


def _signal_when_idle(thread: int, child: Path) -> None:
    """Send the signal once the command runs and its caller waits for its output."""
    while not (child.exists() and child.read_text()) or "_listen" not in _calls(thread):
        time.sleep(0)
    signal.pthread_kill(thread, signal.SIGUSR1)


def _calls(thread: int) -> list[str]:
    return [frame.name for frame in traceback.extract_stack(sys._current_frames()[thread])]


def _is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def test_a_command_ignores_the_repository_of_a_surrounding_git_hook(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(["git", "init", "--quiet", str(tmp_path / "ours")])
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "another"))
    assert run(["git", "rev-parse", "--git-dir"], cwd=tmp_path / "ours").strip() == ".git"


def test_a_slow_command_does_not_time_out_while_it_prints() -> None:
    script = "for step in 1 2 3 4 5 6; do echo $step >&2; sleep 0.3; done; echo done"
    assert run(["sh", "-c", script], silence=1.2) == "done\n"


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (
            "fatal: unable to connect to 127.0.0.1:\n127.0.0.1[0: 127.0.0.1]: errno=Connection refused\n\n",
            "unable to connect to 127.0.0.1: 127.0.0.1[0: 127.0.0.1]: errno=Connection refused",
        ),
        (
            (
                "Warning: Permanently added 'host' (ED25519).\ngit@host: Permission denied (publickey).\n"
                "fatal: Could not read from remote repository.\n\nPlease make sure you have the correct access rights\n"
                "and the repository exists.\n"
            ),
            "git@host: Permission denied (publickey).; Could not read from remote repository.",
        ),
        (
            "fatal: repository 'https://user:secret@host/x' not found\nhint: y\n",
            "repository 'https://host/x' not found",
        ),
        (
            (
                "Enumerating objects: 3, done.\nCounting objects:  33% (1/3)\rCounting objects: 100% (3/3), done.\n"
                "Total 3 (delta 0), reused 0 (delta 0)\nTo host:x\n ! [rejected] main -> main (fetch first)\n"
            ),
            "! [rejected] main -> main (fetch first)",
        ),
        (
            (
                "error: atomic push failed for ref refs/heads/main. status: 5\n\n"
                "fatal: the remote end hung up unexpectedly\nTo ../b.git\n ! [rejected]  HEAD -> main (fetch first)\n"
                "error: failed to push some refs to '../b.git'\nhint: Updates were rejected\n"
            ),
            "! [rejected]  HEAD -> main (fetch first)",
        ),
        (
            (
                "remote: no key in commits, please        \nTo ../b.git\n"
                " ! [remote rejected] HEAD -> x (pre-receive hook declined)\nerror: failed to push some refs to 'b'\n"
            ),
            "remote: no key in commits, please; ! [remote rejected] HEAD -> x (pre-receive hook declined)",
        ),
        ("", "it printed nothing"),
    ],
)
def test_error_shows_only_the_reason_from_git_s_output(said: str, reason: str) -> None:
    with pytest.raises(StoreUnavailable) as caught:
        run([sys.executable, "-S", "-c", "import sys; sys.exit(sys.stderr.write(sys.argv[1]) or 1)", said])
    assert str(caught.value).partition(" failed: ")[2] == reason
