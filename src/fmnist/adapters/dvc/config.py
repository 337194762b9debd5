"""DVC's configuration. The library that reads it writes ours, for `#` and `,` in a path mean something in its syntax.

A registry's own is somebody else's text. In its core, cache and remotes it may say what is listed here, which names no
file, command or secret of this machine. A build alone heeds its `profile`, which chooses among credentials of this one.
Other sections are of no use to what is run here.
"""

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

from configobj import ConfigObj, ConfigObjError
from dvc.config import Config, ConfigError

from fmnist.adapters.git.command import run
from fmnist.adapters.parquet.storage import CONNECT_SECONDS, READ_SECONDS, S3Settings
from fmnist.domain.model.errors import CorruptData, InvalidSetting

CONFIG_FILE = ".dvc/config"
# What a registry may say in the sections that count.
# Its cache is always a directory of ours, whatever its `dir`. How much a certificate is worth is decided here, whatever
# it says: no reading and no upload heeds its `ssl_verify`.
_ALLOWED = {
    "core": {
        *("remote", "analytics", "autostage", "check_update", "checksum_jobs", "experiments", "hardlink_lock"),
        *("interactive", "no_scm"),
    },
    "cache": {"dir", "type", "protected", "shared", "slow_link_warning", "verify"},
    "remote": {
        *("url", "endpointurl", "region", "profile", "use_ssl", "ssl_verify", "allow_anonymous_login", "user", "port"),
        *("sse", "sse_kms_key_id", "acl", "grant_read", "grant_read_acp", "grant_write_acp", "grant_full_control"),
        *("timeout", "connect_timeout", "read_timeout", "jobs", "checksum_jobs", "no_traverse", "listobjects"),
        *("cache_regions", "verify", "type", "shared", "protected", "slow_link_warning", "projectname", "account_name"),
        *("version_aware", "worktree", "auth", "method", "ask_password", "ask_passphrase", "allow_agent", "gss_auth"),
        *("max_sessions", "tenant_id", "oss_endpoint", "replication", "kerberos", "use_https", "connection_timeout"),
    },
}
# All that counts of a remote when DVC only tells where data lie; they are read with this machine's settings.
READ_OF_A_REMOTE = ("url", "endpointurl", "version_aware", "worktree")


def own_config(repo: Path, commit: str, source: str, *, heeds_remotes: bool = True) -> Mapping[str, Any]:
    """Return the configuration that a registry, a repository on this machine, has at a commit; `source` is its name.

    Who heeds no more of its remotes than `READ_OF_A_REMOTE` need not have them checked: a tag's cannot be corrected.

    Raises:
        CorruptData: DVC cannot read it.
        InvalidSetting: it says more than it may.
    """
    if not run(["git", "ls-tree", "--name-only", commit, "--", CONFIG_FILE], cwd=repo):
        return {"core": {}, "remote": {}}
    text = run(["git", "cat-file", "blob", f"{commit}:{CONFIG_FILE}"], cwd=repo)
    with tempfile.TemporaryDirectory(prefix="fmnist-config-") as scratch:
        file = Path(scratch, "config")
        file.write_text(text, encoding="utf-8")
        try:
            config = _load(file)
        except ConfigError as error:
            raise CorruptData(f"{CONFIG_FILE} of {source} cannot be read: {error}") from error
    sections = {"core": [config["core"]], "cache": [config.get("cache", {})]}
    if heeds_remotes:
        sections["remote"] = config["remote"].values()
    if found := {key for name, each in sections.items() for said in each for key in set(said) - _ALLOWED[name]}:
        raise InvalidSetting(
            f"{CONFIG_FILE} of {source} sets {', '.join(sorted(found))}, which is for this machine to say: remove it, "
            "and build a new version"
        )
    return config


def own_remote(config: Mapping[str, Any], name: str | None) -> Mapping[str, str]:
    """Return the options of a registry's remote, its default one without a name; empty when it has none such."""
    options: Mapping[str, str] = config["remote"].get((name or config["core"].get("remote") or "").lower(), {})
    return options


def refuse_cloud_versions(what: str) -> NoReturn:
    """Refuse a remote that is `version_aware` or a `worktree`.

    Raises:
        InvalidSetting: always.
    """
    raise InvalidSetting(
        f"{what} has its data in a remote with cloud versions (version_aware or worktree), where they lie by name and "
        "not by hash: set DVC_REMOTE_URL to a place that has them by hash, or build a new version into one"
    )


def check_place(place: str) -> None:
    """Refuse a place that DVC reads and cannot write: it formats the path when it counts the files.

    Raises:
        InvalidSetting: the path holds `{` or `}`.
    """
    if set("{}") & set(place):
        raise InvalidSetting(f"DVC cannot keep data in {place}: it takes {{ and }} for syntax; name a place without")


def upload_options(url: str, s3: S3Settings, own: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the options of the remote that is pushed to: how `url` is reached from here.

    The settings overrule the registry's `own` options, as they do when data are read.

    Raises:
        InvalidSetting: DVC cannot write there.
    """
    check_place(url)
    if not url.startswith("s3://"):
        return {"url": url}
    options = {
        **(own or {}),
        "url": url,
        "endpointurl": s3.endpoint_url or (own or {}).get("endpointurl"),
        # Where nothing is said, boto heeds AWS_CA_BUNDLE.
        "ssl_verify": None if s3.verify_tls else "false",
        "connect_timeout": str(CONNECT_SECONDS),  # DVC would wait for ever
        "read_timeout": str(READ_SECONDS),
    }
    return {key: value for key, value in options.items() if value}


def write_config(file: Path, sections: Mapping[str, Mapping[str, str]]) -> None:
    """Write a configuration file of DVC: its sections by their names, such as `core` and `remote "NAME"`.

    Raises:
        InvalidSetting: a value that DVC would read otherwise than it was meant.
    """
    values = ", ".join(repr(section["url"]) for section in sections.values() if "url" in section)
    try:
        # DVC's own way, but that DVC writes ASCII alone, and references where there are none.
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
    """Return the name of a remote's section, in the case that DVC reads it."""
    return f'remote "{name.lower()}"'


def _load(file: Path) -> dict[str, Any]:
    try:
        config = Config.load_file(str(file))
    except SyntaxError as error:  # what ConfigObj raises for a value that looks like a reference to another
        raise ConfigError(str(error)) from error
    return {"core": {}, **config}
