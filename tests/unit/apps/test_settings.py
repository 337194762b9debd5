"""Every variable of the platform contract: its name, its default, its accepted values, and the error for a bad one."""

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from fmnist.apps.settings import Settings, load_environment
from fmnist.domain.model.address import Address
from fmnist.domain.model.errors import InvalidSetting

# The contract's table: each variable with a value that is not its default, and the field after reading it.
CONTRACT = {
    "MLFLOW_TRACKING_URI": "https://mlflow.example",
    "MLFLOW_EXPERIMENT_NAME": "other",
    "MLFLOW_REGISTERED_MODEL_NAME": "ci.fashion-mnist-classifier",
    "RAY_STORAGE_ENDPOINT": "minio:9000",
    "RAY_STORAGE_SCHEME": "https",
    "RAY_STORAGE_PATH": "bucket/prefix",
    "RAY_ADDRESS": "auto",
    "DVC_REPO_URL": "https://git.example/data",
    "DVC_REMOTE": "minikube",
    "DVC_REMOTE_URL": "s3://dvcstore",
    "DVC_TRAIN_DATA_PATH": "train",
    "DVC_VAL_DATA_PATH": "val",
    "DVC_TEST_DATA_PATH": "test",
    "DVC_METRICS_PATH": "metrics",
    "AWS_ACCESS_KEY_ID": "key",
    "AWS_ENDPOINT_URL": "https://s3.example",
    "ARGO_WORKFLOW_UID": "uid",
    "DOCKER_IMAGE_TAG": "tag",
    "DVC_DATA_VERSION": "1.0.0",
    "LOG_LEVEL": "DEBUG",
    "ENVIRONMENT": "production",
    "RAY_NUM_WORKERS": "4",
}


OF_VENDORS = Settings(aws_endpoint_url="x", aws_no_verify_ssl=True).vendor_environment()


@pytest.fixture(autouse=True)
def nothing_is_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in [*map(str.upper, Settings.model_fields), *OF_VENDORS]:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)


def test_defaults_need_no_service(tmp_path: Path) -> None:
    settings = Settings.load()
    home = tmp_path / ".fmnist"
    assert settings.fmnist_home == home
    assert settings.tracking_uri == Address(f"sqlite:///{home}/mlflow.db")
    assert settings.data_repo == Address(str(home / "data-registry.git"))
    assert settings.data_remote_url == str(home / "data-store")
    assert settings.ray_storage_location == str(home / "checkpoints")
    assert settings.ray_storage_url is None
    assert settings.mlflow_experiment_name == "fashion-mnist"
    assert settings.mlflow_registered_model_name == "dev.fashion-mnist-classifier"
    assert (settings.argo_workflow_uid, settings.docker_image_tag, settings.dvc_data_version) == (None, None, None)
    assert (settings.ray_num_workers, settings.ray_address) == (1, None)
    assert (settings.environment, settings.log_level, settings.on_platform) == ("development", "INFO", False)
    assert settings.dvc_train_data_path == "data/fashion-mnist/processed/train/train.parquet"
    assert settings.dvc_val_data_path == "data/fashion-mnist/processed/val/val.parquet"
    assert settings.dvc_test_data_path == "data/fashion-mnist/processed/test/test.parquet"
    assert settings.dvc_metrics_path == "data/fashion-mnist/metadata.json"
    assert not settings.aws_no_verify_ssl
    assert not settings.mlflow_tracking_insecure_tls
    settings.require_data_contract()


@pytest.mark.parametrize(("name", "value"), CONTRACT.items())
def test_each_variable_has_the_contract_s_name(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(name, value)
    assert str(getattr(Settings.load(), name.lower())) == value


@pytest.mark.parametrize("name", CONTRACT)
def test_an_empty_variable_counts_as_unset(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    default = Settings.load()
    monkeypatch.setenv(name, "")
    assert Settings.load() == default


@pytest.mark.parametrize("name", ["MLFLOW_TRACKING_INSECURE_TLS", "AWS_NO_VERIFY_SSL"])
@pytest.mark.parametrize(("value", "expected"), [("true", True), ("1", True), ("false", False), ("0", False)])
def test_boolean_variables_are_read(monkeypatch: pytest.MonkeyPatch, name: str, value: str, *, expected: bool) -> None:
    monkeypatch.setenv(name, value)
    assert getattr(Settings.load(), name.lower()) is expected


@pytest.mark.parametrize(
    ("endpoint", "scheme", "url"),
    [
        ("minio:9000", None, "http://minio:9000"),
        ("minio:9000", "https", "https://minio:9000"),
        ("http://minio:9000", None, "http://minio:9000"),
        ("https://minio:9000", "http", "https://minio:9000"),
    ],
)
@pytest.mark.parametrize(
    ("path", "location"),
    [
        (None, "ray-results"),
        ("bucket", "bucket"),
        ("bucket/a/b", "bucket/a/b"),
        ("s3://bucket", "bucket"),
        ("s3://bucket/a/b/", "bucket/a/b"),
    ],
)
def test_checkpoint_storage_is_read_in_every_accepted_form(
    monkeypatch: pytest.MonkeyPatch, endpoint: str, scheme: str | None, url: str, path: str | None, location: str
) -> None:
    monkeypatch.setenv("RAY_STORAGE_ENDPOINT", endpoint)
    for name, value in (("RAY_STORAGE_SCHEME", scheme), ("RAY_STORAGE_PATH", path)):
        if value is not None:
            monkeypatch.setenv(name, value)
    settings = Settings.load()
    assert (settings.ray_storage_url, settings.ray_storage_location) == (url, location)


def test_without_an_endpoint_checkpoints_go_to_the_local_disk(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("RAY_STORAGE_PATH", "s3://bucket/prefix")
    assert Settings.load().ray_storage_location == str(tmp_path / ".fmnist" / "checkpoints")


@pytest.mark.parametrize("environment", ["training", "production"])
def test_on_the_platform_all_missing_data_variables_are_named(
    monkeypatch: pytest.MonkeyPatch, environment: str
) -> None:
    monkeypatch.setenv("ENVIRONMENT", environment)
    with pytest.raises(InvalidSetting, match=r"set ARGO_WORKFLOW_UID, DOCKER_IMAGE_TAG, DVC_DATA_VERSION$"):
        Settings.load().require_data_contract()
    monkeypatch.setenv("DOCKER_IMAGE_TAG", "tag")
    with pytest.raises(InvalidSetting, match=r"set ARGO_WORKFLOW_UID, DVC_DATA_VERSION$"):
        Settings.load().require_data_contract()
    monkeypatch.setenv("ARGO_WORKFLOW_UID", "uid")
    monkeypatch.setenv("DVC_DATA_VERSION", "1.0.0")
    Settings.load().require_data_contract()


def test_all_bad_variables_are_named_at_once_without_their_values(monkeypatch: pytest.MonkeyPatch) -> None:
    names = ("LOG_LEVEL", "RAY_NUM_WORKERS", "RAY_STORAGE_SCHEME", "AWS_NO_VERIFY_SSL")
    for name in names:
        monkeypatch.setenv(name, "hunter2")
    with pytest.raises(InvalidSetting) as caught:
        Settings.load()
    assert all(f"{name}: " in str(caught.value) for name in names)
    assert "hunter2" not in str(caught.value)


def test_printed_settings_do_not_show_the_secret_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hunter2")
    settings = Settings.load()
    assert settings.aws_secret_access_key is not None
    assert settings.aws_secret_access_key.get_secret_value() == "hunter2"
    assert "hunter2" not in repr(settings)


def test_state_directory_is_absolute(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("FMNIST_HOME", "here/home")
    assert Settings.load().fmnist_home == tmp_path / "here" / "home"


def test_a_registry_at_another_address_uses_its_own_remote(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DVC_REPO_URL", "https://git.example/data")
    assert Settings.load().data_remote_url is None


def test_settings_are_exported_under_the_names_that_vendors_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "environ", dict(os.environ))
    monkeypatch.setenv("AWS_ENDPOINT_URL", "https://s3.example")
    monkeypatch.setenv("AWS_NO_VERIFY_SSL", "true")
    monkeypatch.setenv("DO_NOT_TRACK", "false")
    load_environment()
    assert os.environ["MLFLOW_S3_ENDPOINT_URL"] == "https://s3.example"
    assert os.environ["MLFLOW_S3_IGNORE_TLS"] == "true"
    assert os.environ["DO_NOT_TRACK"] == "false", "an exported variable stays"


def test_only_an_own_cluster_trains_without_a_preemption_watcher() -> None:
    name = "RAY_TRAIN_ENABLE_PREEMPTION_WATCHER"
    assert Settings().vendor_environment()[name] == "0"
    assert name not in Settings(ray_address="head:6379").vendor_environment()


def test_tls_is_verified_unless_turned_off_explicitly() -> None:
    assert "MLFLOW_S3_IGNORE_TLS" not in Settings.load().vendor_environment()


KEYS = st.from_regex(r"[!-+\--~]{1,30}", fullmatch=True)
SPACE = st.text(st.sampled_from(" \t\r\n"), max_size=3)


@given(st.text(st.sampled_from(", \t\r\n"), min_size=1))
def test_list_of_keys_without_a_key_is_an_error_and_never_an_open_service(listed: str) -> None:
    with pytest.raises(ValidationError, match="holds no key"):
        Settings(fmnist_api_keys=listed)


@given(st.lists(st.tuples(SPACE, KEYS, SPACE), min_size=1, max_size=5))
def test_spaces_around_listed_keys_are_ignored(listed: list[tuple[str, str, str]]) -> None:
    settings = Settings(fmnist_api_keys=",".join(map("".join, listed)))
    assert settings.api_keys == tuple(key for _, key, _ in listed)


@pytest.mark.parametrize("key", ["two words", "schlüssel", "tab\tkey"])
def test_key_that_some_clients_cannot_send_is_refused_and_not_shown(monkeypatch: pytest.MonkeyPatch, key: str) -> None:
    monkeypatch.setenv("FMNIST_API_KEYS", f"one,{key},two")
    with pytest.raises(InvalidSetting, match=r"FMNIST_API_KEYS.*key 2 of 3 has a space") as refused:
        Settings.load()
    assert key not in str(refused.value)


@pytest.mark.parametrize("name", ["AWS_NO_VERIFY_SSL", "MLFLOW_TRACKING_INSECURE_TLS"])
@pytest.mark.parametrize("value", ["verify", "flase", "2", "none", "null"])
def test_odd_value_of_the_tls_variable_is_an_error(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(InvalidSetting, match=name):
        Settings.load()


_SECRET = "s3cret"  # noqa: S105


@pytest.mark.parametrize("name", ["MLFLOW_TRACKING_URI", "DVC_REPO_URL", "GITOPS_REPO_URL"])
def test_password_of_an_address_is_not_shown_with_the_settings(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, f"https://user:{_SECRET}@host/x")
    settings = Settings.load()
    shown = repr(settings) + str(settings) + repr([settings.tracking_uri, settings.data_repo, settings.gitops_repo])
    assert _SECRET not in shown
    revealed = [address.reveal() for address in (settings.tracking_uri, settings.data_repo, settings.gitops_repo)]
    assert f"https://user:{_SECRET}@host/x" in revealed


@pytest.mark.parametrize("name", ["MLFLOW_TRACKING_URI", "DVC_REPO_URL", "GITOPS_REPO_URL"])
def test_error_for_an_address_with_two_hosts_names_only_its_variable(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(name, f"https://user:{_SECRET}@{_SECRET}/x@host/x")
    with pytest.raises(InvalidSetting, match=f"{name}: .*write %40 for @") as refused:
        Settings.load()
    assert _SECRET not in str(refused.value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DVC_REMOTE_URL", f"s3://user:{_SECRET}@host/store"),
        ("FEEDBACK_PLACE", f"s3://user:{_SECRET}@host/store"),
        ("AWS_ENDPOINT_URL", f"http://user:{_SECRET}@host:9000"),
        ("RAY_STORAGE_ENDPOINT", f"user:{_SECRET}@host:9000"),
        ("RAY_ADDRESS", f"ray://user:{_SECRET}@host:10001"),
    ],
)
def test_password_in_an_address_that_others_can_read_is_refused(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(InvalidSetting, match=f"{name}: .*without user and password") as refused:
        Settings.load()
    assert _SECRET not in str(refused.value)


@pytest.mark.parametrize("name", ["DVC_REMOTE_URL", "FEEDBACK_PLACE"])
@pytest.mark.parametrize("scheme", ["https", "ssh", "gs", "file"])
def test_data_store_is_a_directory_or_s3(monkeypatch: pytest.MonkeyPatch, name: str, scheme: str) -> None:
    monkeypatch.setenv(name, f"{scheme}://user:{_SECRET}@host/store")
    with pytest.raises(InvalidSetting, match=f"{name}: expected a directory or an s3:// address") as refused:
        Settings.load()
    assert _SECRET not in str(refused.value)


@pytest.mark.parametrize("value", ["/srv/a@b:9/store", "s3://bucket/a@b", "store@home/a:1"])
def test_data_store_may_have_an_at_sign_in_its_path(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("DVC_REMOTE_URL", value)
    assert Settings.load().data_remote_url == (value if "://" in value else str(Path(value).absolute()))


def test_feedback_has_no_place_by_default_and_a_relative_one_is_below_the_working_directory(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert Settings.load().feedback_place is None
    monkeypatch.setenv("FEEDBACK_PLACE", "told")
    assert Settings.load().feedback_place == str(tmp_path / "told")
    monkeypatch.setenv("FEEDBACK_PLACE", "s3://bucket/told")
    assert Settings.load().feedback_place == "s3://bucket/told"


@pytest.mark.parametrize(("flag", "expected"), [("", None), (" ", None), (" head:6379\r", "head:6379"), (None, None)])
def test_flag_is_stripped_like_a_variable_and_an_empty_one_counts_as_unset(
    monkeypatch: pytest.MonkeyPatch, flag: str | None, expected: str | None
) -> None:
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    assert Settings.load(ray_address=flag).ray_address == expected


def test_a_working_directory_that_was_removed_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    with pytest.raises(InvalidSetting, match="the working directory no longer exists: change to another one"):
        Settings.load()
