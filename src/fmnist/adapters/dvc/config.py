"""DVC's configuration. ConfigObj, which DVC reads it with, also writes ours: `#` and `,` in a path are its syntax.

A registry's own configuration is not trusted. Its core and cache may set only the options listed here. Of its remotes,
only the options listed here are used. None of them names a file, command or secret of this machine. Other sections have
no effect on the commands that run here. The user's own DVC settings have none either.
"""

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

from configobj import ConfigObj, ConfigObjError
from dvc.config import Config, ConfigError

from fmnist.adapters.git.command import git
from fmnist.adapters.parquet.storage import CONNECT_SECONDS, READ_SECONDS, S3Settings
from fmnist.domain.model.errors import CorruptData, InvalidSetting

CONFIG_FILE = ".dvc/config"
# Options that a registry may set, by section. The cache `dir` is ignored: the cache is always our own directory.
_ALLOWED = {
    "core": {
        *("remote", "analytics", "autostage", "check_update", "checksum_jobs", "experiments", "hardlink_lock"),
        *("interactive", "no_scm"),
    },
    "cache": {"dir", "type", "protected", "shared", "slow_link_warning", "verify"},
}
# Options of a remote that locate data. The data are read with this machine's settings.
LOCATING = ("url", "endpointurl", "version_aware", "worktree")
# Options that a build into S3 uses too. `profile` selects credentials of this machine.
_UPLOADING = (
    *("region", "profile", "use_ssl", "allow_anonymous_login", "cache_regions", "jobs", "checksum_jobs"),
    *("sse", "sse_kms_key_id", "acl", "grant_read", "grant_read_acp", "grant_write_acp", "grant_full_control"),
)


def own_config(repo: Path, commit: str, source: str) -> Mapping[str, Any]:
    """Return a registry's DVC configuration at a commit. `repo` is on this machine; `source` names it in messages.

    Raises:
        CorruptData: DVC cannot read it.
        InvalidSetting: its core or cache sets an option that is not allowed.
    """
    if not git(repo, "ls-tree", "--name-only", commit, "--", CONFIG_FILE):
        return {"core": {}, "remote": {}}
    text = git(repo, "cat-file", "blob", f"{commit}:{CONFIG_FILE}")
    with tempfile.TemporaryDirectory(prefix="fmnist-config-") as scratch:
        file = Path(scratch, "config")
        file.write_text(text, encoding="utf-8")
        try:
            config = _load(file)
        except ConfigError as error:
            raise CorruptData(f"{CONFIG_FILE} of {source} cannot be read: {error}") from error
    if found := {key for name, allowed in _ALLOWED.items() for key in set(config.get(name, {})) - allowed}:
        raise InvalidSetting(
            f"{CONFIG_FILE} of {source} sets {', '.join(sorted(found))}, which a registry may not set: remove it, "
            "and build a new version"
        )
    return config


def own_remote(config: Mapping[str, Any], name: str | None) -> Mapping[str, str]:
    """Return the options that a build uses of a registry's remote, or {} if there is no such remote."""
    options = config["remote"].get((name or "").lower(), {})
    return {key: options[key] for key in (*LOCATING, *_UPLOADING) if key in options}


def refuse_cloud_versions(what: str) -> NoReturn:
    """Raise InvalidSetting for a remote that is `version_aware` or a `worktree`."""
    raise InvalidSetting(
        f"{what} has its data in a remote with cloud versions (version_aware or worktree), which stores files by name, "
        "not by hash: set DVC_REMOTE_URL to a remote that stores them by hash, or build a new version into one"
    )


def check_place(place: str) -> None:
    """Refuse a place that DVC cannot write: it treats the path as a format string when it counts the files.

    Raises:
        InvalidSetting: the path holds `{` or `}`.
    """
    if set("{}") & set(place):
        raise InvalidSetting(f"DVC cannot keep data in {place}: {{ and }} are syntax to it; use a path without them")


def upload_options(url: str, s3: S3Settings, own: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the options of the DVC remote that pushes to `url` from this machine.

    The settings override the registry's `own` options, as they do when data are read.

    Raises:
        InvalidSetting: DVC cannot write to this path.
    """
    check_place(url)
    if not url.startswith("s3://"):
        return {"url": url}
    options = {
        **(own or {}),
        "url": url,
        "endpointurl": s3.endpoint_url or (own or {}).get("endpointurl"),
        # Unset, so that boto uses AWS_CA_BUNDLE.
        "ssl_verify": None if s3.verify_tls else "false",
        "connect_timeout": str(CONNECT_SECONDS),  # without it, DVC waits for ever
        "read_timeout": str(READ_SECONDS),
    }
    return {key: value for key, value in options.items() if value}


def write_config(file: Path, sections: Mapping[str, Mapping[str, str]]) -> None:
    """Write a DVC configuration file. Keys of `sections` are section names, such as `core` and `remote "NAME"`.

    Raises:
        InvalidSetting: DVC would read a value differently from what was written.
    """
    values = ", ".join(repr(section["url"]) for section in sections.values() if "url" in section)
    try:
        # As DVC itself writes it, but in UTF-8: DVC writes only ASCII.
        written = ConfigObj({key: dict(section) for key, section in sections.items()}, encoding="utf-8")
        with file.open("wb") as out:
            written.write(out)
        found = _load(file)
    except (ConfigObjError, ConfigError, UnicodeEncodeError) as error:
        raise InvalidSetting(f"DVC's configuration cannot hold {values}: {error}") from error
    remotes = {remote_section(name): remote for name, remote in found.pop("remote").items()}
    if {**found, **remotes} != {"core": {}, "machine": {}, "db": {}, **sections}:
        raise InvalidSetting(f"DVC's configuration cannot hold {values}: DVC would read something else")


def remote_section(name: str) -> str:
    """Return the name of a remote's section, in lower case as DVC reads it."""
    return f'remote "{name.lower()}"'


@contextmanager
def dvc_variables() -> Iterator[dict[str, str]]:
    """Yield environment variables that hide the user's DVC settings. Their folders are removed afterwards."""
    with tempfile.TemporaryDirectory(prefix="fmnist-dvc-") as scratch:
        yield {
            # This folder does not exist.
            **dict.fromkeys(("DVC_GLOBAL_CONFIG_DIR", "DVC_SYSTEM_CONFIG_DIR"), f"{scratch}/config"),
            "DVC_SITE_CACHE_DIR": f"{scratch}/cache",
            "DVC_NO_ANALYTICS": "1",
        }


def _load(file: Path) -> dict[str, Any]:
    try:
        config = Config.load_file(str(file))
    except SyntaxError as error:  # ConfigObj raises this for a value that looks like a reference to another value
        raise ConfigError(str(error)) from error
    return {"core": {}, **config}
