"""Runs Git, DVC and similar commands, and raises the domain's errors when they fail.

Credentials never reach an argument list or a message.
"""

import os
import re
import selectors
import signal
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from fmnist.adapters.git.environment import neutral_environment
from fmnist.domain.model.address import Address, without_credentials
from fmnist.domain.model.errors import StoreUnavailable

_ADVERTISEMENT = "Having any troubles?"  # the last line of each DVC error
# Progress lines of Git. They say nothing about an error.
_PROGRESS = re.compile(r"(objects|deltas): +\d|^Delta compression|^Total \d")
# The line with the reason for a refused push. A `fatal:` line then says only that the connection closed.
_REFUSAL = re.compile(r" ! \[(rejected|remote rejected|remote failure)\]")


def run(
    command: Sequence[str],
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    silence: float | None = None,
    remote: Address | None = None,
) -> str:
    """Run a command, and return its standard output.

    The command gets the neutral environment, the variables of `env`, and the credentials of the repository `remote`.

    Raises:
        InvalidSetting: Git cannot send the credentials, or cannot read its configuration.
        StoreUnavailable: the command failed, printed nothing for `silence` seconds, or is not installed. The message
            ends with the last output of the command.
    """
    with neutral_environment(remote) as neutral:
        return _run(command, cwd, {**neutral, **(env or {})}, silence)


def _run(command: Sequence[str], cwd: Path | None, env: Mapping[str, str], silence: float | None) -> str:
    try:
        process = subprocess.Popen(
            command,
            cwd=cwd,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,  # no terminal, so that ssh does not prompt
        )
    except FileNotFoundError as error:
        if cwd is not None and not cwd.is_dir():
            raise StoreUnavailable(f"there is no directory {cwd}") from error
        raise StoreUnavailable(f"{command[0]} is not on this machine: install it") from error
    with process:
        try:
            printed, errors = _listen(process, silence)
        except BaseException as error:
            # Interrupt or timeout. Kill the whole group: the stages of DVC must end before their files are deleted.
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            if isinstance(error, TimeoutError):
                raise StoreUnavailable(f"`{_name(command)}` got no answer within {silence:g} s") from error
            raise
    if process.returncode != 0:
        raise StoreUnavailable(f"`{_name(command)}` failed: {_reason(errors or printed)}")
    return printed


def git(checkout: Path, *arguments: str) -> str:
    """Run git in a checkout, and return its standard output. It raises what `run` raises."""
    return run(["git", *arguments], cwd=checkout)


def is_local(repo: Address) -> bool:
    """Return whether `repo` is a path on this machine, not a URL or the `user@host:path` form."""
    return "://" not in str(repo) and not re.match(r"[^/]+:", str(repo))


def source_name(repo: Address) -> str:
    """Return a local repository's absolute path, else its URL, for lineage and argument lists."""
    return str(Path(str(repo)).expanduser().absolute()) if is_local(repo) else str(repo)


def _listen(process: "subprocess.Popen[bytes]", silence: float | None) -> tuple[str, str]:
    """Return stdout and stderr of the process; raise TimeoutError when it prints nothing for `silence` seconds."""
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
    printed, errors = (b"".join(parts).decode(errors="replace") for parts in heard.values())
    return printed, errors


def _reason(output: str) -> str:
    """Return Git's error line without its advice, or the last lines of another program."""
    lines = [
        line
        for line in output.splitlines()
        if line.strip() and not line.startswith(_ADVERTISEMENT) and not _PROGRESS.search(line)
    ]
    place = next((place for place, line in enumerate(lines) if line.startswith("fatal: ")), None)
    if any(map(_REFUSAL.match, lines)):
        said = [line.strip() for line in lines if line.startswith("remote: ") or _REFUSAL.match(line)]
        words = "; ".join(said[-6:])
    elif place is None:
        words = "\n".join(lines[-6:])
    else:
        words = lines[place].removeprefix("fatal: ")
        if words.endswith(":"):  # the next lines name the addresses of the host
            words = " ".join([words, *lines[place + 1 :]])
        elif words.startswith("Could not read from remote repository") and place > 0:
            words = f"{lines[place - 1]}; {words}"  # the line before it is ssh's error
    return without_credentials(words) or "it printed nothing"


def _name(command: Sequence[str]) -> str:
    program, *arguments = command
    if arguments[:2] == ["-m", "dvc"]:
        program, *arguments = arguments[1:]
    words = [word for word in arguments if not word.startswith("-") and "=" not in word]
    return " ".join([program, *words[:1]])
