"""The user's Git and shell settings do not change what a command does. Their network settings are kept."""

import os
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fmnist.adapters.dvc.git import tagged_commits
from fmnist.adapters.git.command import git, run
from fmnist.adapters.git.environment import neutral_environment
from fmnist.adapters.git.remote import clone, push, references
from fmnist.domain.model.address import Address
from fmnist.domain.model.errors import InvalidSetting, StoreUnavailable

_TASTE = """
[core]
    hooksPath = {home}/hooks
    excludesFile = {home}/ignored
    attributesFile = {home}/attributes
    autocrlf = true
    fsmonitor = {home}/hooks/pre-commit
    sharedRepository = 0600
    editor = false
    pager = false
[commit]
    gpgSign = true
    template = {home}/absent
[tag]
    gpgSign = true
    forceSignAnnotated = true
[push]
    gpgSign = true
    default = nothing
    followTags = true
[gpg]
    program = false
[init]
    templateDir = {home}/template
    defaultBranch = odd
    defaultObjectFormat = sha256
[clone]
    defaultRemoteName = odd
[safe]
    bareRepository = explicit
[protocol "file"]
    allow = never
[transfer]
    fsckObjects = odd
[filter "odd"]
    clean = false
    required = true
[alias]
    commit = !false
"""
_VARIABLES = {
    "GIT_DEFAULT_HASH": "sha256",
    "GIT_TEMPLATE_DIR": "{home}/template",
    "GIT_CONFIG_COUNT": "1",
    "GIT_CONFIG_KEY_0": "commit.gpgSign",
    "GIT_CONFIG_VALUE_0": "true",
    "GIT_CONFIG_PARAMETERS": "'commit.gpgsign=true'",
    "GIT_DIR": "{home}/elsewhere",
    "GIT_WORK_TREE": "{home}/elsewhere",
    "GIT_INDEX_FILE": "{home}/elsewhere/index",
    "GIT_OBJECT_DIRECTORY": "{home}/elsewhere/objects",
    "GIT_NAMESPACE": "odd",
    "GIT_LITERAL_PATHSPECS": "1",
    "GIT_AUTHOR_DATE": "no date",
    "GIT_TRACE": "1",
    "SHELL": "/bin/false",
    "BASH_ENV": "{home}/hooks/pre-commit",
    "ENV": "{home}/hooks/pre-commit",
    "LANGUAGE": "de",
}


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home directory, and nothing of Git in the environment."""
    for name in [name for name in os.environ if name.startswith(("GIT_", "XDG_"))]:
        monkeypatch.delenv(name)
    path = tmp_path / "home"
    path.mkdir()
    monkeypatch.setenv("HOME", str(path))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    return path


@pytest.fixture
def odd_taste(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All settings of a user that would break a command or change its result."""
    for name in ("hooks/pre-commit", "hooks/pre-push", "hooks/reference-transaction", "template/hooks/commit-msg"):
        hook = home / name
        hook.parent.mkdir(parents=True, exist_ok=True)
        hook.write_text(f"#!/bin/sh\ntouch {home}/ran\nexit 1\n")
        hook.chmod(0o755)
    (home / "ignored").write_text("*.json\n")
    (home / "attributes").write_text("*.json filter=odd\n")
    (home / ".config/git").mkdir(parents=True)
    (home / ".config/git/ignore").write_text("*.json\n")
    (home / ".config/git/attributes").write_text("*.json filter=odd\n")
    (home / ".gitconfig").write_text(_TASTE.format(home=home))
    for name, value in _VARIABLES.items():
        monkeypatch.setenv(name, value.format(home=home))


@pytest.mark.usefixtures("odd_taste")
def test_personal_settings_do_not_affect_a_commit_or_a_push(home: Path, tmp_path: Path) -> None:
    work, bare, copy = tmp_path / "work", tmp_path / "bare.git", tmp_path / "copy"
    run(["git", "init", "--quiet", "--initial-branch=main", str(work)])
    run(["git", "init", "--quiet", "--bare", "--initial-branch=main", str(bare)])
    (work / "metadata.json").write_bytes(b"{}\r\n")
    git(work, "add", "--all")
    git(work, "commit", "--quiet", "--message", "x")
    git(work, "tag", "--annotate", "--message", "x", "v1")
    push(work, Address(str(bare)), "HEAD:refs/heads/main", "refs/tags/v1")
    clone(Address(str(bare)), copy)
    assert (copy / "metadata.json").read_bytes() == b"{}\r\n"
    assert [name for name, _ in references(Address(str(bare)))] == [
        "HEAD",
        "refs/heads/main",
        "refs/tags/v1",
        "refs/tags/v1^{}",
    ]
    assert {len(sha) for _, sha in references(Address(str(bare)))} == {40}
    assert not (bare / "hooks").exists()
    assert not (home / "ran").exists()
    assert not (home / "elsewhere").exists()


def test_hooks_of_a_registry_on_this_machine_run(home: Path, tmp_path: Path) -> None:
    work, bare = tmp_path / "work", tmp_path / "bare.git"
    run(["git", "init", "--quiet", str(work)])
    git(work, "commit", "--quiet", "--allow-empty", "--message", "x")
    run(["git", "init", "--quiet", "--bare", str(bare)])
    (bare / "hooks").mkdir()
    (bare / "hooks/post-receive").write_text(f"#!/bin/sh\ntouch {home}/ran\n")
    (bare / "hooks/post-receive").chmod(0o755)
    push(work, Address(str(bare)), "HEAD:refs/heads/main")
    assert (home / "ran").exists()


@pytest.fixture
def ssh(tmp_path: Path) -> Callable[[str], str]:
    """Return a stand-in for ssh, which says its name and that it was refused."""

    def make(name: str) -> str:
        script = tmp_path / name
        script.write_text(f"#!/bin/sh\necho {name} was asked >&2\nexit 255\n")
        script.chmod(0o755)
        return str(script)

    return make


@pytest.mark.parametrize("way", ["core.sshCommand", "GIT_SSH", "GIT_SSH_COMMAND", "an included file"])
def test_ssh_settings_of_the_user_are_kept(
    way: str, home: Path, ssh: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    if way.startswith("GIT"):
        monkeypatch.setenv(way, ssh("deploy-key"))
    else:
        file = home / (".gitconfig" if way.startswith("core") else "included")
        file.write_text(f"[core]\n\tsshCommand = {ssh('deploy-key')}\n")
        if way == "an included file":
            (home / ".gitconfig").write_text(f"[include]\n\tpath = {file}\n")
    with pytest.raises(StoreUnavailable, match="deploy-key was asked"):
        references(Address("ssh://git@host.invalid/x.git"))


def test_identity_and_url_rewrites_of_the_user_are_kept(home: Path, tmp_path: Path) -> None:
    run(["git", "init", "--quiet", "--bare", str(tmp_path / "mirror.git")])
    (home / ".gitconfig").write_text(
        f'[user]\n\tname = A "quoted" \\\\ name\n\temail = a@b\n[url "file://{tmp_path}/"]\n\tinsteadOf = "https://host.invalid/"\n'
    )
    run(["git", "init", "--quiet", str(tmp_path / "work")])
    git(tmp_path / "work", "commit", "--quiet", "--allow-empty", "--message", "x")
    who = git(tmp_path / "work", "log", "--format=%an <%ae>").strip()
    assert who.startswith("A ")
    assert who.endswith(" name <a@b>")
    push(tmp_path / "work", Address("https://host.invalid/mirror.git"), "HEAD:refs/heads/main")
    assert references(Address("https://host.invalid/mirror.git"))


@pytest.mark.parametrize("empty", [False, True], ids=["absent", "empty"])
def test_commit_of_a_user_without_an_identity_is_by_fmnist(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, empty: bool
) -> None:
    if empty:
        (home / ".gitconfig").write_text("[user]\n\tname =\n\temail =\n[author]\n\tname =\n")
        for role in ("AUTHOR", "COMMITTER"):
            monkeypatch.setenv(f"GIT_{role}_NAME", "")
            monkeypatch.setenv(f"GIT_{role}_EMAIL", "")
    run(["git", "init", "--quiet", str(tmp_path / "work")])
    git(tmp_path / "work", "commit", "--quiet", "--allow-empty", "--message", "x")
    assert git(tmp_path / "work", "log", "--format=%an <%ae>, %cn <%ce>") == (
        "fmnist <fmnist@localhost>, fmnist <fmnist@localhost>\n"
    )


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_repository_of_another_user_is_used_if_safe_directory_allows_it(home: Path, tmp_path: Path) -> None:
    bare = tmp_path / "of 'another.git"
    run(["git", "init", "--quiet", "--bare", str(bare)])
    for path in (bare, *bare.rglob("*")):
        os.chown(path, 12345, 12345)
    with pytest.raises(StoreUnavailable, match="dubious ownership"):
        references(Address(str(bare)))
    subprocess.run(["git", "config", "--global", "--add", "safe.directory", str(bare)], check=True)
    assert references(Address(str(bare))) == []
    clone(Address(str(bare)), tmp_path / "copy")


@pytest.mark.parametrize("variables", [{}, {"GIT_CONFIG_COUNT": "odd"}])
def test_error_for_an_unreadable_git_configuration_names_it(
    home: Path, variables: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    if not variables:
        (home / ".gitconfig").write_text("[user\n")
    named = "bogus count in GIT_CONFIG_COUNT" if variables else rf"bad config line 1 in file {home}/\.gitconfig"
    with pytest.raises(
        InvalidSetting, match=rf"^Git cannot read its configuration: .*{named}.*; correct it$"
    ) as caught:
        tagged_commits(Address("http://127.0.0.1:9/x"))
    assert "\n" not in str(caught.value)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=25, deadline=None)
@given(
    values=st.dictionaries(
        _NAMES := st.sampled_from(
            ["user.name", "core.sshcommand", 'http.https://a.b/c d"\\.proxy', "credential.helper"]
        ),
        st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20),
    )
)
def test_kept_settings_arrive_as_they_are(values: Mapping[str, str], home: Path) -> None:
    (home / ".gitconfig").unlink(missing_ok=True)
    for name, value in values.items():
        subprocess.run(["git", "config", "--global", name, value], check=True)
    with neutral_environment() as variables:
        listing = subprocess.run(
            ["git", "config", "--global", "--list", "--null"], env=variables, capture_output=True, check=True
        )
    arrived = dict(entry.split("\n", 1) for entry in os.fsdecode(listing.stdout).split("\0")[:-1])
    expected = {**values, **({"user.name": "fmnist"} if values.get("user.name") == "" else {})}
    assert {name: arrived[name] for name in values} == expected


@pytest.mark.parametrize("password", ["%00", "a%0Ahost=evil", "a%0D"])
def test_password_of_two_lines_is_refused(home: Path, password: str) -> None:
    with pytest.raises(InvalidSetting, match="a line break or a NUL"):
        references(Address(f"http://user:{password}@127.0.0.1:9/x"))


def test_password_is_in_no_file_and_no_setting(home: Path) -> None:
    with neutral_environment(Address("https://user:s3cret%40@host/x")) as variables:
        assert [name for name, value in variables.items() if "s3cret" in value] == ["FMNIST_GIT_PASSWORD"]
        assert variables["FMNIST_GIT_PASSWORD"] == "s3cret@"  # noqa: S105
        assert "s3cret" not in Path(variables["GIT_CONFIG_GLOBAL"]).read_text()
    assert not Path(variables["GIT_CONFIG_GLOBAL"]).exists()


@pytest.mark.parametrize("address", ["http://u:p@[::1/x", "http://u:p@host:port/x", "HTTP://u:p@127.0.0.1:9/x"])
def test_invalid_address_is_refused_by_git(home: Path, address: str) -> None:
    with pytest.raises(StoreUnavailable, match="`git ls-remote` failed"):
        references(Address(address))


def test_password_is_sent_only_to_the_same_host_also_with_tls(home: Path) -> None:
    with neutral_environment(Address("http://user:s3cret@host/x")) as variables:
        keys = [value for name, value in variables.items() if name.startswith("GIT_CONFIG_KEY_")]
    assert {*keys} == {"core.hooksPath", "credential.http://host.helper", "credential.https://host.helper"}
    with neutral_environment(Address("http://user:s3cret@host:81/x")) as variables:
        keys = [value for name, value in variables.items() if name.startswith("GIT_CONFIG_KEY_")]
    assert {*keys} == {"core.hooksPath", "credential.http://host:81.helper"}


def test_a_machine_without_git_is_told_to_install_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(StoreUnavailable, match="git is not on this machine: install it"), neutral_environment():
        pass
