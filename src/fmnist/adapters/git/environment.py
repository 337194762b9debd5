"""The environment of Git, DVC and DVC's stages, and how Git gets the credentials of an address.

The lists at the top say which of the user's settings are kept, and which are neutralized.
"""

import os
import re
import subprocess
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from fmnist.domain.model.address import Address
from fmnist.domain.model.errors import InvalidSetting, StoreUnavailable

# Kept: the user's identity, network access and trusted certificates. Any other Git setting is neutralized.
_KEPT_SETTINGS = re.compile(
    r"(user|author|committer)\.(name|email|useconfigonly)|safe\.directory"
    r"|core\.(sshcommand|askpass|gitproxy)|ssh\.variant|credential\..+|http\..+|url\..+\.(insteadof|pushinsteadof)",
    re.DOTALL,
)
_KEPT_VARIABLES = re.compile(
    r"GIT_(SSH|SSH_COMMAND|SSH_VARIANT|ASKPASS|PROXY_COMMAND|EXEC_PATH|(SSL|HTTP|PROXY_SSL)_\w+"
    r"|(AUTHOR|COMMITTER)_(NAME|EMAIL))"
)
# Git sets some of these when it runs us from a hook: then each command would work on the hook's repository.
_NEUTRALIZED_VARIABLES = re.compile(
    r"(GIT|DVC)_.*|LC_.*|LANGUAGE|BASH_ENV|ENV|BASHOPTS|SHELLOPTS|CDPATH|BASH_FUNC_.*|PYTHONWARNINGS", re.DOTALL
)
# An empty one is as none: Git would refuse to commit with it.
_IDENTITY = re.compile(r"GIT_(AUTHOR|COMMITTER)_|(user|author|committer)\.")
_NEUTRAL_VARIABLES = {
    "GIT_ATTR_NOSYSTEM": "1",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_TEMPLATE_DIR": "",
    "GIT_TERMINAL_PROMPT": "0",
    "LC_ALL": "C.UTF-8",  # `advice` matches Git's messages, which Git would translate
    "SHELL": "/bin/sh",  # DVC runs the stages with it
}
# The two files are in the user's home directory if unset. The user's own name and address override ours.
_NEUTRAL_SETTINGS = [
    ("core.excludesFile", os.devnull),
    ("core.attributesFile", os.devnull),
    ("user.name", "fmnist"),
    ("user.email", "fmnist@localhost"),
]
# Only for the command itself: a local registry that receives a push still runs its own hooks.
_COMMAND_SETTINGS = [("core.hooksPath", os.devnull)]

_SCOPES = ("system", "global", "command")
_HTTP = re.compile(r"https?://", re.IGNORECASE)
_Settings = list[tuple[str, str]]
# Git runs this to get the credentials. It is visible in the process list, so it holds no secret.
_HELPER = (
    '!f() { test "$1" = get && printf "username=%s\\npassword=%s\\n" "$FMNIST_GIT_USER" "$FMNIST_GIT_PASSWORD"; }; f'
)


@contextmanager
def neutral_environment(remote: Address | None = None) -> Iterator[dict[str, str]]:
    """Yield the environment for a command, in which Git finds the credentials of `remote`.

    Other users can read the arguments of a command, but not its environment.

    Raises:
        InvalidSetting: Git cannot send the user or password, or cannot read its configuration.
        StoreUnavailable: Git is not installed.
    """
    settings, variables = _kept_settings(), _kept_variables()
    with tempfile.TemporaryDirectory(prefix="fmnist-git-") as scratch:
        command_settings = list(_COMMAND_SETTINGS)
        if remote is not None and _HTTP.match(str(remote)) and (credentials := remote.credentials()):
            # An address with credentials is used as it is, without the user's `url.*.insteadOf`.
            settings = [(name, _expanded(value)) for name, value in settings if not name.startswith("url.")]
            command_settings += _asked_as(remote, *credentials)
            variables |= _secret_variables(scratch, *credentials)
        config = Path(scratch, "gitconfig")
        config.write_text(_file(_NEUTRAL_SETTINGS + settings), encoding="utf-8", errors="surrogateescape")
        yield {**variables, "GIT_CONFIG_GLOBAL": str(config), **_numbered(command_settings)}


def _kept_variables() -> dict[str, str]:
    kept = {
        name: value
        for name, value in os.environ.items()  # noqa: TID251 - the environment of Git
        if (_KEPT_VARIABLES.fullmatch(name) or not _NEUTRALIZED_VARIABLES.fullmatch(name))
        and (value or not _IDENTITY.match(name))
    }
    return {"SSH_ASKPASS_REQUIRE": "never", **kept, **_NEUTRAL_VARIABLES}


def _kept_settings() -> _Settings:
    """Return the kept settings of the system and of the user. A repository around us does not count."""
    variables = {
        name: value
        for name, value in os.environ.items()  # noqa: TID251 - the environment of Git
        if not name.startswith("GIT_") or name.startswith(("GIT_CONFIG", "GIT_EXEC_PATH"))
    }
    try:
        listing = subprocess.run(
            ["git", "config", "--list", "--includes", "--show-scope", "--null"],
            env=variables,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=True,
        )
    except FileNotFoundError as error:
        raise StoreUnavailable("git is not on this machine: install it") from error
    except subprocess.CalledProcessError as error:
        said = "; ".join(error.stderr.decode(errors="replace").splitlines())
        raise InvalidSetting(f"Git cannot read its configuration: {said}; correct it") from error
    words = os.fsdecode(listing.stdout).split("\0")
    found = [entry.partition("\n") for scope, entry in zip(words[::2], words[1::2], strict=False) if scope in _SCOPES]
    # A setting without `=` means true.
    return [
        (name, value if equals else "true")
        for name, equals, value in found
        if _KEPT_SETTINGS.fullmatch(name) and (value or not _IDENTITY.match(name))
    ]


def _asked_as(remote: Address, user: str, password: str | None) -> _Settings:
    """Return the settings with which Git authenticates as this user. None of them holds the password.

    They apply to one server. A redirect gets the password only on the same server, such as from http:// to https://.
    """
    scheme, _, rest = str(remote).partition("://")
    host = rest.partition("/")[0]
    servers = [f"{scheme}://{host}"]
    if scheme.lower() == "http" and not re.search(r":\d+$", host):
        servers.append(f"https://{host}")
    if password is None:
        return [(f"credential.{server}.username", user) for server in servers]
    # The empty helper removes the user's own helpers, which Git would ask first.
    return [(f"credential.{server}.helper", helper) for server in servers for helper in ("", _HELPER)]


def _secret_variables(scratch: str, user: str, password: str | None) -> dict[str, str]:
    if set("\0\r\n") & {*user, *(password or "")}:
        raise InvalidSetting(
            "the user or password in an address of Git has a line break or a NUL: Git can send neither"
        )
    if password is None:
        return {}
    return {
        "FMNIST_GIT_USER": user,
        "FMNIST_GIT_PASSWORD": password,
        "GIT_ASKPASS": "",  # no prompt when the password is wrong
        "HOME": scratch,  # where curl would find another password, in .netrc
    }


def _expanded(value: str) -> str:
    """Expand `~/` here, because Git has another HOME when it is given credentials."""
    return str(Path(value).expanduser()) if value.startswith("~/") else value


def _numbered(settings: _Settings) -> dict[str, str]:
    """Return settings as environment variables that Git reads."""
    variables = {"GIT_CONFIG_COUNT": str(len(settings))}
    for number, (name, value) in enumerate(settings):
        variables |= {f"GIT_CONFIG_KEY_{number}": name, f"GIT_CONFIG_VALUE_{number}": value}
    return variables


def _file(settings: Iterable[tuple[str, str]]) -> str:
    lines = []
    for name, value in settings:
        section, _, rest = name.partition(".")
        subsection, _, key = rest.rpartition(".")
        lines.append(f"[{section} {_quoted(subsection)}]" if subsection else f"[{section}]")
        lines.append(f"\t{key} = {_quoted(value)}")
    return "\n".join(lines) + "\n"


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'
