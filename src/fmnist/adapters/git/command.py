"""Git, and what is driven like it, as commands, with their failures in the domain's words.

Credentials never reach a message.
"""

import os
import re
import selectors
import signal
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from fmnist.domain.model.addresses import without_credentials
from fmnist.domain.model.errors import StoreUnavailable

# Git sets these for its hooks; inherited from one, they would make every command work on that other repository.
_OF_ANOTHER_REPOSITORY = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX", "GIT_OBJECT_DIRECTORY")
_ADVERTISEMENT = "Having any troubles?"  # DVC's last line, after each of its errors
# Part of what Git says with --progress, which is there to show that it gets on.
_PROGRESS = re.compile(r"(objects|deltas): +\d|^Delta compression|^Total \d")
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


def git(checkout: Path, *arguments: str) -> str:
    """Run git in a checkout as a machine: no hook, editor or signing key of whoever runs it has a part in it.

    Raises:
        StoreUnavailable: as `run` does.
    """
    neutral = ("core.hooksPath=/dev/null", "commit.gpgSign=false", "tag.gpgSign=false")
    options = [word for setting in neutral for word in ("-c", setting)]
    return run(["git", *options, *arguments], cwd=checkout, env=_identity(checkout))


def is_local(repo: str) -> bool:
    """Whether `repo` is a path on this machine, not a URL or the `user@host:path` form."""
    return "://" not in repo and not re.match(r"[^/]+:", repo)


def git_address(repo: str) -> str:
    """Return what git and DVC are to be given: a local path made absolute, anything else as it is."""
    return str(Path(repo).expanduser().absolute()) if is_local(repo) else repo


def source_name(repo: str) -> str:
    """Return what a repository is called where others can read it: without password or token."""
    return without_credentials(repo) if "://" in repo else git_address(repo)


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


def _identity(checkout: Path) -> dict[str, str]:
    """Return a Git identity for machines that have none; one that is configured is used."""
    try:
        run(["git", "var", "GIT_COMMITTER_IDENT"], cwd=checkout)
    except StoreUnavailable:
        who = {"NAME": "fmnist", "EMAIL": "fmnist@localhost"}
        return {f"GIT_{role}_{key}": value for role in ("AUTHOR", "COMMITTER") for key, value in who.items()}
    return {}


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
