"""DVC reads back any path that we write. Of a registry's own configuration, only the allowed options count."""

import subprocess
from pathlib import Path

import pytest
from dvc.config import Config
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from fmnist.adapters.dvc.config import own_config, own_remote, upload_options, write_config
from fmnist.adapters.parquet.storage import S3Settings
from fmnist.domain.model.errors import CorruptData, InvalidSetting

_S3 = S3Settings("https://s3.example", "key", "swordfish")


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    (tmp_path / ".dvc").mkdir()
    return tmp_path


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(name=st.text(st.characters(codec="utf-8", exclude_characters="/"), min_size=1))
@example("a#b")
@example("a, b")
@example("%(here)s")
@example("''' and \"\"\"")
@example("~")
@example(" a ")
def test_a_directory_of_any_name_is_read_as_it_was_written_or_refused(checkout: Path, name: str) -> None:
    try:
        write_config(checkout / ".dvc/config.local", {'remote "upload"': {"url": f"/home/{name}/store"}})
    except InvalidSetting as error:
        assert "DVC's configuration cannot hold '/home/" in str(error)  # noqa: PT017
    else:
        remotes = Config(str(checkout / ".dvc"))["remote"]
        assert {key: remote["url"] for key, remote in remotes.items()} == {"upload": f"/home/{name}/store"}


@pytest.mark.parametrize("end", ["\x0c", "\x1c", "\x85", "\u2028"])
def test_a_directory_whose_last_character_dvc_would_drop_is_refused(checkout: Path, end: str) -> None:
    with pytest.raises(InvalidSetting, match=r"cannot hold '/srv/store.*': DVC would read something else"):
        write_config(checkout / ".dvc/config.local", {'remote "upload"': {"url": f"/srv/store{end}"}})


@pytest.mark.parametrize("name", ["a#b", "a,b", "it's", 'a "b"', "a=b", "[a]", "a%2Fb", "a?b", "$a", "é", " a ", "{a}"])
def test_a_directory_of_a_common_odd_name_is_not_refused(checkout: Path, name: str) -> None:
    write_config(checkout / ".dvc/config.local", {'remote "upload"': {"url": f"/home/{name}/store"}})
    assert Config(str(checkout / ".dvc"))["remote"]["upload"]["url"] == f"/home/{name}/store"


def test_upload_uses_the_url_and_timeouts_of_the_settings() -> None:
    own = {"url": "s3://bucket", "endpointurl": "http://other", "region": "eu"}
    options = upload_options("s3://bucket", _S3, own)
    assert (options["endpointurl"], options["region"]) == ("https://s3.example", "eu")
    assert upload_options("s3://bucket", S3Settings(), own)["endpointurl"] == "http://other"
    assert int(options["connect_timeout"]) > 0
    assert int(options["read_timeout"]) > 0
    assert "swordfish" not in str(options)
    assert upload_options("/srv/store", _S3) == {"url": "/srv/store"}


@pytest.mark.parametrize("place", ["/srv/{store}", "s3://bucket/}"])
def test_a_place_that_dvc_cannot_write_is_refused(place: str) -> None:
    with pytest.raises(InvalidSetting, match="use a path without them"):
        upload_options(place, S3Settings())


def test_a_registry_cannot_turn_off_certificate_verification(tmp_path: Path) -> None:
    config = _own(tmp_path, "['remote \"storage\"']\n    url = s3://bucket\n    ssl_verify = false\n")
    options = upload_options("s3://bucket", _S3, own_remote(config, "storage"))
    assert "ssl_verify" not in options  # so that boto uses AWS_CA_BUNDLE
    assert upload_options("s3://bucket", S3Settings(verify_tls=False))["ssl_verify"] == "false"


@pytest.mark.parametrize(
    "text",
    [
        "[core]\n    site_cache_dir = /tmp/elsewhere\n",
        "[core]\n    machine = theirs\n",
        "[cache]\n    local = other\n['remote \"other\"']\n    url = ssh://x\n",
        "[core]\n    an_option_to_come = x\n",
    ],
)
def test_a_registry_that_names_a_place_of_this_machine_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(InvalidSetting, match=r"\.dvc/config of shared sets [\w, ]+, which a registry may not set"):
        _own(tmp_path, text)


def test_a_remote_that_names_a_file_command_or_secret_does_not_affect_a_build(tmp_path: Path) -> None:
    options = [
        *("configpath", "credentialpath", "cert_path", "key_path", "keyfile", "gdrive_user_credentials_file"),
        *("access_key_id", "secret_access_key", "session_token", "password", "Bearer_Token_Command", "ssl_verify"),
        *("sse_customer_key", "an_option_to_come"),
    ]
    lines = "".join(f"    {option} = x\n" for option in options)
    config = _own(tmp_path, f"['remote \"Storage\"']\n    url = s3://bucket\n{lines}")
    assert own_remote(config, "storage") == {"url": "s3://bucket"}


def test_allowed_options_of_a_registry_are_accepted(tmp_path: Path) -> None:
    said = {"url": "s3://bucket", "region": "eu", "allow_anonymous_login": "true", "jobs": "2"}
    lines = "".join(f"    {key} = {value}\n" for key, value in said.items())
    config = _own(
        tmp_path,
        "[core]\n    remote = storage\n    autostage = true\n[cache]\n    type = symlink\n['remote \"storage\"']\n"
        + lines,
    )
    assert own_remote(config, "storage") == said


@pytest.mark.parametrize("text", ["[core", "a = %(b)s", "[core]\ncore = 1\n[core]", "\x00"])
def test_unreadable_configuration_names_its_registry(tmp_path: Path, text: str) -> None:
    with pytest.raises(CorruptData, match=r"\.dvc/config of shared cannot be read"):
        _own(tmp_path, text)


def test_a_registry_without_a_configuration_has_no_remote(tmp_path: Path) -> None:
    assert own_remote(_own(tmp_path, None), None) == {}


def _own(directory: Path, text: str | None) -> dict[str, object]:
    """Commit this configuration, and read it as that of a registry."""

    def git(*arguments: str) -> None:
        subprocess.run(["git", "-c", "user.name=a", "-c", "user.email=a@b", *arguments], cwd=directory, check=True)

    git("init", "--quiet")
    if text is not None:
        (directory / ".dvc").mkdir()
        (directory / ".dvc/config").write_text(text)
        git("add", ".dvc")
    git("commit", "--quiet", "--allow-empty", "--message", "a")
    return dict(own_config(directory, "HEAD", "shared"))
