"""Environment variables have the value that the user meant, for us and for vendors that read them directly."""

import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest.mock import patch
from urllib.request import proxy_bypass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fmnist.apps.environment import spare_warnings
from fmnist.apps.settings import Settings, load_environment
from fmnist.domain.model.errors import InvalidSetting

# One of each kind: our settings, secrets, and variables that only vendors read.
NAMES = [
    "FMNIST_HOME",
    "FMNIST_RAW_DIR",
    "FMNIST_PRESET",
    "FMNIST_API_KEY",
    "MLFLOW_TRACKING_URI",
    "RAY_ADDRESS",
    "DVC_REPO_URL",
    "GITOPS_REPO_URL",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_CA_BUNDLE",
    "MLFLOW_TRACKING_PASSWORD",
    "https_proxy",
    "REQUESTS_CA_BUNDLE",
]
AROUND = st.text(alphabet=" \t\r\n", max_size=3)
# Without characters that a state directory must not have for another reason.
_CHARACTERS = st.characters(exclude_categories=["C", "Z"], exclude_characters="%?{}")
INSIDE = st.text(_CHARACTERS, min_size=1, max_size=12).filter(lambda s: s[0] != "~")


@contextmanager
def environment(**variables: str) -> Iterator[None]:
    with patch.dict(os.environ, {"HOME": "/users/me", **variables}, clear=True):
        yield


@given(st.sampled_from(NAMES), AROUND, INSIDE, AROUND)
def test_spaces_and_line_ends_around_a_value_are_removed(name: str, before: str, value: str, after: str) -> None:
    with environment(**{name: value}):
        plain = Settings.load()
    with environment(**{name: before + value + after}):
        assert Settings.load() == plain
        assert os.environ[name] == value


@given(st.sampled_from(NAMES), INSIDE, st.sampled_from("\r\n\t\x01\x1b\x7f\x85\udcff"), INSIDE)
def test_error_for_a_control_character_in_a_value_names_its_variable(
    name: str, before: str, control: str, after: str
) -> None:
    with environment(**{name: before + control + after}), pytest.raises(InvalidSetting) as caught:
        Settings.load()
    assert str(caught.value) == (
        f"unusable environment variables: {name}: "
        "its value has a line break, a control character, or bytes that are not UTF-8"
    )


def test_json_variables_of_ray_may_have_line_breaks() -> None:
    with environment(RAY_SERVE_SOMETHING='{\n  "a": 1\n}\r\n'):
        Settings.load()
        assert os.environ["RAY_SERVE_SOMETHING"] == '{\n  "a": 1\n}'


@pytest.mark.parametrize("name", ["LS_COLORS", "BASH_FUNC_f%%", "PS1"])
def test_variables_of_others_are_left_alone(name: str) -> None:
    with environment(**{name: "() {\n a\n} "}):
        Settings.load()
        assert os.environ[name] == "() {\n a\n} "


@pytest.mark.parametrize("name", [n for n in NAMES if n.lower() in Settings.model_fields and "API_KEY" not in n])
@pytest.mark.parametrize("blank", ["", " ", "\r", "\r\n"])
def test_blank_value_counts_as_unset_for_vendors_too(name: str, blank: str) -> None:
    with environment(**{name: blank}):
        loaded = Settings.load()
        assert name not in os.environ
    with environment():
        assert Settings.load() == loaded


@pytest.mark.parametrize("name", ["FMNIST_API_KEYS", "FMNIST_API_KEY"])
@pytest.mark.parametrize("blank", ["", " ", "\r\n"])
def test_blank_api_key_neither_opens_the_service_nor_skips_its_check(name: str, blank: str) -> None:
    with environment(**{name: blank}), pytest.raises(InvalidSetting, match=f"{name}: it holds no key"):
        Settings.load()


@pytest.mark.parametrize(
    "name",
    [
        "FMNIST_HOME",
        "FMNIST_RAW_DIR",
        "FMNIST_PRESET",
        "FEEDBACK_PLACE",
        "DVC_REPO_URL",
        "DVC_REMOTE_URL",
        "GITOPS_REPO_URL",
        "AWS_CA_BUNDLE",
        "MLFLOW_TRACKING_SERVER_CERT_PATH",
        "REQUESTS_CA_BUNDLE",
        "SSL_CERT_FILE",
    ],
)
def test_tilde_is_expanded_in_every_path(name: str) -> None:
    with environment(**{name: "~/data"}):
        settings = Settings.load()
        assert os.environ[name] == "/users/me/data"
    assert str(getattr(settings, name.lower(), "/users/me/data")) == "/users/me/data"


@pytest.mark.parametrize(("home", "path"), [("", "~/data"), ("/users/me", "~nobody-of-that-name/data")])
def test_tilde_of_an_unknown_user_is_refused(home: str, path: str) -> None:
    with environment(HOME=home, FMNIST_RAW_DIR=path), pytest.raises(InvalidSetting) as caught:
        Settings.load()
    assert str(caught.value) == (
        "unusable environment variables: FMNIST_RAW_DIR: the home directory for ~ is unknown; give an absolute path"
    )


@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_dotenv_may_come_from_windows(tmp_path: Path, mark: str) -> None:
    file = tmp_path / ".env"
    file.write_bytes(f"{mark}FMNIST_PRESET=small\r\n# a note\r\nAWS_REGION='eu'\r\n".encode())
    with environment():
        assert load_environment(file).fmnist_preset == "small"
        assert os.environ["AWS_REGION"] == "eu"


def test_directory_named_dotenv_is_ignored(tmp_path: Path) -> None:
    (tmp_path / ".env").mkdir()
    with environment():
        assert load_environment(tmp_path / ".env").fmnist_preset == "fast"


@pytest.mark.parametrize("content", [b"FMNIST_PRESET=a\0b\n", b"FMNIST_PRESET=\xff\n"])
def test_dotenv_that_is_not_text_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / ".env").write_bytes(content)
    with environment(), pytest.raises(InvalidSetting, match=r"/\.env cannot be read: "):
        load_environment(tmp_path / ".env")


def test_dotenv_does_not_override_the_environment(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text(
        "MLFLOW_EXPERIMENT_NAME=from-file\nDVC_DATA_VERSION='1.0.0'\nexport AWS_NO_VERIFY_SSL=1\n"
    )
    with environment(MLFLOW_EXPERIMENT_NAME="exported"):
        settings = load_environment(tmp_path / ".env")
    assert settings.mlflow_experiment_name == "exported"
    assert settings.dvc_data_version == "1.0.0"
    assert settings.aws_no_verify_ssl


def test_dotenv_of_the_working_directory_is_read_unless_it_is_not_wanted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".env").write_text("FMNIST_PRESET=small\n")
    monkeypatch.chdir(tmp_path)
    with environment():
        assert load_environment(dotenv=None).fmnist_preset == "fast"
        assert load_environment().fmnist_preset == "small"


@pytest.mark.parametrize("upper", [True, False])
@pytest.mark.parametrize("excepted", [None, "", "one.example, .two.example", "localhost", "*"])
def test_no_client_uses_a_proxy_of_the_environment_for_loopback(excepted: str | None, upper: bool) -> None:
    variables = {"http_proxy": "http://proxy.example:3128"} | ({} if excepted is None else {"no_proxy": excepted})
    with environment(**{name.upper() if upper else name: value for name, value in variables.items()}):
        for _ in range(2):
            load_environment(dotenv=None)
            assert all(map(proxy_bypass, ("localhost", "127.0.0.1", "::1")))
        assert bool(proxy_bypass("one.example")) == (excepted is not None and ("one" in excepted or excepted == "*"))
        assert bool(proxy_bypass("other.example")) == (excepted == "*")
        assert len(os.environ.get("no_proxy", "").split(",")) <= 5


def test_environment_without_a_proxy_is_not_changed() -> None:
    with environment():
        load_environment(dotenv=None)
        assert "no_proxy" not in os.environ


@pytest.mark.parametrize(
    ("options", "kept"),
    [
        (["error"], []),
        (["e::DeprecationWarning"], []),
        (["default", "error::FutureWarning", "ignore:.*x:UserWarning"], ["default", "ignore:.*x:UserWarning"]),
    ],
)
def test_warnings_of_vendors_are_not_errors_here_or_in_child_processes(
    monkeypatch: pytest.MonkeyPatch, options: list[str], kept: list[str]
) -> None:
    monkeypatch.setattr(sys, "warnoptions", list(options))
    monkeypatch.setenv("PYTHONWARNINGS", ",".join(options))
    with warnings.catch_warnings(record=True) as warned:
        warnings.resetwarnings()
        for option in options:
            warnings._setoption(option)  # type: ignore[attr-defined]  # as the interpreter does
        spare_warnings()
        for category in (DeprecationWarning, FutureWarning):
            warnings.warn("of a vendor", category, stacklevel=1)
    assert len(warned) == 2
    assert sys.warnoptions == kept
    assert os.environ["PYTHONWARNINGS"] == ",".join(kept)


def test_warnings_are_not_errors_after_settings_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "warnoptions", ["error"])
    (tmp_path / ".env").write_text("PYTHONWARNINGS=default,error\n")
    with environment(), warnings.catch_warnings():
        load_environment(tmp_path / ".env")
        assert (sys.warnoptions, os.environ["PYTHONWARNINGS"]) == ([], "default")


@pytest.mark.parametrize(("value", "found"), [("~/x", "/users/me/x"), ("", None), (" ", None)])
def test_ray_tmpdir_is_expanded_and_an_empty_one_counts_as_unset(value: str, found: str | None) -> None:
    with environment(RAY_TMPDIR=value):
        Settings.load()
        assert os.environ.get("RAY_TMPDIR") == found


def test_warning_filters_without_errors_are_not_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "warnoptions", ["default"])
    before = list(warnings.filters)
    spare_warnings()
    assert (sys.warnoptions, warnings.filters) == (["default"], before)
