"""While Git runs, no other user of the machine can see the password of a repository's address."""

import contextlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from urllib.parse import quote, urlsplit

import pytest

from fmnist.adapters.git.command import git, run
from fmnist.adapters.git.desired_state import GitDesiredState
from fmnist.adapters.git.remote import clone, push, references
from fmnist.domain.model.address import Address
from fmnist.domain.model.errors import StoreUnavailable
from tests.integration.security.git_http import git_over_http

_USER = "bot name"
_PASSWORDS = ["t0ken-s3cret", "s3cret with'all \"of/that@:%?#\\$(x)`é"]


@dataclass
class _Spectator:
    """Another user of the machine, who reads the process list repeatedly."""

    seen: set[str] = field(default_factory=set)
    _end: threading.Event = field(default_factory=threading.Event)

    def watch(self) -> None:
        while not self._end.is_set():
            for file in Path("/proc").glob("[0-9]*/cmdline"):
                with contextlib.suppress(OSError):
                    self.seen.add(file.read_bytes().replace(b"\0", b" ").decode(errors="replace"))

    @contextlib.contextmanager
    def watching(self) -> Iterator[None]:
        thread = threading.Thread(target=self.watch)
        thread.start()
        try:
            yield
        finally:
            self._end.set()
            thread.join()


@pytest.fixture
def repositories(tmp_path: Path) -> Path:
    """A directory with one repository, `registry.git`, which accepts pushes."""
    bare, work = tmp_path / "served/registry.git", tmp_path / "work"
    run(["git", "init", "--quiet", "--bare", "--initial-branch=main", str(bare)])
    run(["git", "config", "http.receivepack", "true"], cwd=bare)
    run(["git", "init", "--quiet", "--initial-branch=main", str(work)])
    (work / "serve.yaml").write_text("kind: none\n")
    git(work, "add", "--all")
    git(work, "commit", "--quiet", "--message", "x")
    push(work, Address(str(bare)), "HEAD:refs/heads/main")
    return bare.parent


def _with_password(address: str, password: str) -> Address:
    return Address(address.replace("//", f"//{quote(_USER)}:{quote(password, safe='')}@"))


@pytest.mark.parametrize("password", _PASSWORDS)
def test_password_is_in_no_argument_list_while_git_runs(repositories: Path, tmp_path: Path, password: str) -> None:
    spectator, copy = _Spectator(), tmp_path / "copy"
    with git_over_http(repositories, _USER, password, seconds=0.2) as address, spectator.watching():
        repo = _with_password(f"{address}/registry.git", password)
        assert references(repo)
        clone(repo, copy)
        push(copy, repo, "HEAD:refs/heads/other")
    for command in ("ls-remote", "clone", "push"):
        assert [line for line in spectator.seen if line.startswith(f"git {command} ")]
    assert [line for line in spectator.seen if "remote-http" in line]
    for secret in (password, quote(password, safe=""), quote(password)):
        assert [line for line in spectator.seen if secret in line] == []
        assert secret not in (copy / ".git/config").read_text()


@pytest.mark.parametrize("repeated", ["", "/moved"])
def test_password_is_sent_after_a_redirect_on_the_same_server(
    repositories: Path, tmp_path: Path, repeated: str
) -> None:
    with git_over_http(repositories, _USER, _PASSWORDS[1]) as address:
        repo = _with_password(f"{address}{repeated}/registry.git", _PASSWORDS[1])
        clone(repo, tmp_path / "copy")
        push(tmp_path / "copy", repo, "HEAD:refs/heads/other")
        assert "refs/heads/other" in dict(references(repo))


def test_password_is_not_sent_after_a_redirect_to_another_server(repositories: Path) -> None:
    heard: list[str] = []

    class Thief(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            heard.append(str(self.headers.get("Authorization")))
            self.send_response(401)
            self.send_header("WWW-Authenticate", 'Basic realm="git"')
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Thief) as thief:
        threading.Thread(target=thief.serve_forever, daemon=True).start()

        class Redirecting(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(302)
                self.send_header("Location", f"http://127.0.0.1:{thief.server_port}{self.path}")
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        with HTTPServer(("127.0.0.1", 0), Redirecting) as server:
            threading.Thread(target=server.serve_forever, daemon=True).start()
            with pytest.raises(StoreUnavailable):
                references(_with_password(f"http://127.0.0.1:{server.server_port}/registry.git", _PASSWORDS[0]))
            server.shutdown()
        thief.shutdown()
    assert set(heard) == {"None"}


def test_password_of_the_address_overrides_stored_passwords_of_the_user(
    repositories: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("GIT_ASKPASS", "/bin/false")
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login someone password else\n")
    helper = f"!echo asked >> {tmp_path}/asked; echo username=someone; echo password=else; true"
    with git_over_http(repositories, _USER, _PASSWORDS[0]) as address:
        settings = {"credential.helper": helper, f"credential.{address}.helper": helper}
        settings[f"credential.{address}.username"] = "someone"
        settings[f"url.{urlsplit(address)._replace(netloc='127.0.0.1:9').geturl()}.insteadOf"] = address
        for name, value in settings.items():
            run(["git", "config", "--file", str(tmp_path / ".gitconfig"), name, value])
        assert references(_with_password(f"{address}/registry.git", _PASSWORDS[0]))
        assert not (tmp_path / "asked").exists()


def test_credential_helper_of_the_user_is_used_if_the_address_has_no_password(
    repositories: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    with git_over_http(repositories, "bot", _PASSWORDS[0]) as address:
        helper = f"!cat > {tmp_path}/asked; echo username=bot; echo password={_PASSWORDS[0]}; true"
        run(["git", "config", "--file", str(tmp_path / ".gitconfig"), "credential.helper", helper])
        assert references(Address(f"{address}/registry.git"))
        assert references(Address(f"{address.replace('//', '//bot@')}/registry.git"))
    assert "username=bot" in (tmp_path / "asked").read_text()


def test_error_for_a_refused_password_says_what_to_check_and_does_not_show_it(repositories: Path) -> None:
    with git_over_http(repositories, _USER, _PASSWORDS[0]) as address:
        state = GitDesiredState(_with_password(f"{address}/registry.git", "guessed"), "main", "serve.yaml")
        with pytest.raises(StoreUnavailable, match="check the user and password in GITOPS_REPO_URL") as refused:
            state.read()
    assert "guessed" not in str(refused.value)
    assert "guessed" not in repr(state)
