"""Git, and what is driven like it, as commands, with their failures in the domain's words.

Credentials never reach a message.
"""

import os
import re
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
_NEVER_ASK = {"GIT_TERMINAL_PROMPT": "0", "GIT_SSH_COMMAND": "ssh -o BatchMode=yes"}


def run(command: Sequence[str], cwd: Path | None = None, env: Mapping[str, str] | None = None) -> str:
    """Run a command to its end, quietly, and return what it printed; `env` is added to the environment.

    Raises:
        StoreUnavailable: it failed, or is not on this machine; the message has its last words.
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
            text=True,
            process_group=0,
        )
    except FileNotFoundError as error:
        raise StoreUnavailable(f"{command[0]} is not on this machine: install it") from error
    with process:
        try:
            printed, complained = process.communicate()
        except BaseException:
            # We are interrupted. DVC's stages are processes of its own; they end with it, before their files go.
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
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
    lines = [line for line in output.splitlines() if line.strip() and not line.startswith(_ADVERTISEMENT)]
    fatal = [line.removeprefix("fatal: ") for line in lines if line.startswith("fatal: ")]
    return without_credentials("\n".join(fatal[:1] or lines[-6:])) or "it said nothing"


def _name(command: Sequence[str]) -> str:
    program, *arguments = command
    if arguments[:2] == ["-m", "dvc"]:
        program, *arguments = arguments[1:]
    words = [word for word in arguments if not word.startswith("-") and "=" not in word]
    return " ".join([program, *words[:1]])
