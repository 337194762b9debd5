"""Git and DVC as commands, with their failures in the domain's words. Credentials never reach a message."""

import os
import re
import selectors
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from fmnist.domain.model.addresses import without_credentials
from fmnist.domain.model.errors import StoreUnavailable

# Git sets these for its hooks; inherited from one, they would make every command work on that other repository.
_OF_ANOTHER_REPOSITORY = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX", "GIT_OBJECT_DIRECTORY")
_ADVERTISEMENT = "Having any troubles?"  # DVC's last line, after each of its errors
# Part of what Git says with --progress, which is there to show that it gets on.
_PROGRESS = re.compile(r"(objects|deltas): +\d|^Delta compression|^Total \d")
_SILENT_SECONDS = 60  # Git itself waits for ever for a server that takes its call and says nothing
_NEVER_ASK = {"GIT_TERMINAL_PROMPT": "0", "GIT_SSH_COMMAND": "ssh -o BatchMode=yes"}


def run(
    command: Sequence[str],
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    silence: float | None = None,
) -> str:
    """Run a command to its end, quietly, and return what it printed; `env` is added to the environment.

    Raises:
        StoreUnavailable: it failed, says nothing for `silence` seconds, or is not on this machine; the message has its
            last words.
    """
    inherited = {name: value for name, value in os.environ.items() if name not in _OF_ANOTHER_REPOSITORY}
    try:
        process = subprocess.Popen(
            command,
            cwd=cwd,
            env={**_NEVER_ASK, **inherited, **(env or {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            process_group=0,
        )
    except FileNotFoundError as error:
        raise StoreUnavailable(f"{command[0]} is not on this machine: install it") from error
    with process:
        try:
            printed, complained = _listen(process, silence)
        except BaseException as error:
            # We are interrupted, or wait no longer. DVC's stages are processes of its own; they end with it, before
            # their files go.
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            if isinstance(error, TimeoutError):
                raise StoreUnavailable(f"`{_name(command)}` got no answer within {silence:g} s") from error
            raise
    if process.returncode != 0:
        raise StoreUnavailable(f"`{_name(command)}` failed: {_last_words(complained or printed)}")
    return printed


def _listen(process: "subprocess.Popen[bytes]", silence: float | None) -> tuple[str, str]:
    """Return all that the process prints and complains of, or raise TimeoutError once it is silent for that long."""
    heard: dict[object, list[bytes]] = {process.stdout: [], process.stderr: []}
    with selectors.DefaultSelector() as pipes:
        for pipe in (process.stdout, process.stderr):
            assert pipe is not None
            pipes.register(pipe, selectors.EVENT_READ)
        while pipes.get_map():
            ready = pipes.select(silence)
            if not ready:
                raise TimeoutError
            for key, _ in ready:
                if part := os.read(key.fd, 65536):
                    heard[key.fileobj].append(part)
                else:
                    pipes.unregister(key.fileobj)
    process.wait()
    printed, complained = (b"".join(parts).decode(errors="replace") for parts in heard.values())
    return printed, complained


def clone(repo: str, target: Path, *options: str) -> None:
    """Clone a repository into a directory that is not there yet; `options` are those of `git clone`.

    Raises:
        StoreUnavailable: no repository there, or it does not answer, or falls silent.
    """
    command = ["git", "clone", "--quiet", "--progress", *options, "--", git_address(repo), str(target)]
    run(command, silence=_SILENT_SECONDS)


@contextmanager
def local_copy(repo: str) -> Iterator[str]:
    """Yield the path of a repository on this machine with the same commits: its own, or that of a clone for the time.

    DVC would clone it as well, but wait for ever for a server that falls silent.

    Raises:
        StoreUnavailable: as `clone`.
    """
    if is_local(repo):
        yield git_address(repo)
        return
    with tempfile.TemporaryDirectory(prefix="fmnist-registry-") as scratch:
        copy = Path(scratch, "registry.git")
        clone(repo, copy, "--bare")
        yield str(copy)


def push(checkout: Path, repo: str, *refs: str) -> None:
    """Push all of the refs from a checkout to a repository, or none.

    Raises:
        StoreUnavailable: it does not take them, does not answer, or falls silent.
    """
    options = ["-c", "core.hooksPath=/dev/null"]  # no hook of whoever runs it has a part in it
    command = ["git", *options, "push", "--quiet", "--progress", "--atomic", git_address(repo), *refs]
    run(command, cwd=checkout, silence=_SILENT_SECONDS)


def tagged_commits(repo: str) -> dict[str, str]:
    """Return every tag of a repository with the full sha of its commit, asking the repository once.

    Raises:
        StoreUnavailable: no repository there, or it does not answer.
    """
    try:
        listing = run(["git", "ls-remote", "--quiet", "--tags", "--", git_address(repo)], silence=_SILENT_SECONDS)
    except StoreUnavailable as error:
        raise StoreUnavailable(
            f"the data registry {source_name(repo)} does not answer: {error}. "
            "Make one with `fmnist data build`, or correct DVC_REPO_URL"
        ) from error
    commits = {}
    # Git lists an annotated tag first, then, marked ^{}, the commit that it stands for.
    for line in listing.splitlines():
        sha, ref = line.split("\t")
        commits[ref.removeprefix("refs/tags/").removesuffix("^{}")] = sha
    return commits


def is_local(repo: str) -> bool:
    """Whether `repo` is a path on this machine, not a URL or the `user@host:path` form."""
    return "://" not in repo and not re.match(r"[^/]+:", repo)


def git_address(repo: str) -> str:
    """Return what git and DVC are to be given: a local path made absolute, anything else as it is."""
    return str(Path(repo).expanduser().absolute()) if is_local(repo) else repo


def source_name(repo: str) -> str:
    """Return what a repository is called where others can read it: without password or token."""
    return without_credentials(repo) if "://" in repo else git_address(repo)


def _last_words(output: str) -> str:
    """Return git's reason, without the advice that follows it, or the end of what another program said."""
    lines = [
        line
        for line in output.splitlines()
        if line.strip() and not line.startswith(_ADVERTISEMENT) and not _PROGRESS.search(line)
    ]
    place = next((place for place, line in enumerate(lines) if line.startswith("fatal: ")), None)
    if place is None:
        words = "\n".join(lines[-6:])
    else:
        words = lines[place].removeprefix("fatal: ")
        if words.endswith(":"):  # for each address of the host a line follows
            words = " ".join([words, *lines[place + 1 :]])
        elif words.startswith("Could not read from remote repository") and place > 0:
            words = f"{lines[place - 1]}; {words}"  # ssh says why, and before
    return without_credentials(words) or "it said nothing"


def _name(command: Sequence[str]) -> str:
    program, *arguments = command
    if arguments[:2] == ["-m", "dvc"]:
        program, *arguments = arguments[1:]
    words = [word for word in arguments if not word.startswith("-") and "=" not in word]
    return " ".join([program, *words[:1]])
