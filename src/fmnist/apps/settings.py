"""The only module that reads the environment. Variables keep the platform's names; all are optional on a laptop."""

import os
import re
from pathlib import Path
from typing import Any, Literal, Self
from urllib.request import getproxies_environment

from dotenv import load_dotenv
from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from fmnist.apps.environment import normalize, spare_warnings
from fmnist.domain.model.address import LOOPBACK, Address
from fmnist.domain.model.errors import InvalidSetting
from fmnist.domain.model.text import is_visible_ascii

_PLATFORM = ("training", "production")
UNKNOWN = "DEV"  # the lineage of a laptop


class Settings(BaseSettings):
    """The environment variables as fields, named in lower case. An empty variable counts as unset."""

    model_config = SettingsConfigDict(env_ignore_empty=True, frozen=True, extra="ignore")

    environment: str = "development"
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"

    fmnist_home: Path = Path(".fmnist")
    fmnist_raw_dir: Path | None = None
    fmnist_preset: str = "fast"

    mlflow_tracking_uri: str | None = Field(default=None, repr=False)
    mlflow_experiment_name: str = "fashion-mnist"
    mlflow_registered_model_name: str = "dev.fashion-mnist-classifier"
    mlflow_tracking_insecure_tls: bool = False
    mlflow_enable_system_metrics_logging: bool = False

    ray_address: str | None = None
    ray_num_workers: int = Field(default=1, ge=1)
    ray_storage_endpoint: str | None = None
    ray_storage_scheme: Literal["http", "https"] = "http"
    ray_storage_path: str = "ray-results"

    dvc_repo_url: str | None = Field(default=None, repr=False)
    dvc_remote: str | None = None
    dvc_remote_url: str | None = None
    dvc_train_data_path: str = "data/fashion-mnist/processed/train/train.parquet"
    dvc_val_data_path: str = "data/fashion-mnist/processed/val/val.parquet"
    dvc_test_data_path: str = "data/fashion-mnist/processed/test/test.parquet"
    dvc_metrics_path: str = "data/fashion-mnist/metadata.json"

    aws_access_key_id: str | None = None
    aws_secret_access_key: SecretStr | None = None
    aws_endpoint_url: str | None = None
    aws_no_verify_ssl: bool = False

    gitops_repo_url: str | None = Field(default=None, repr=False)
    gitops_branch: str = "main"
    gitops_manifest: str = "deploy/base/rayservice.yaml"

    request_max_length: int = Field(default=1000, ge=1)
    request_max_bytes: int = Field(default=8 * 2**20, ge=1024)
    request_buffer_bytes: int = Field(default=64 * 2**20, ge=1024)
    request_queue_images: int = Field(default=16_000, ge=1)
    request_timeout_seconds: float = Field(default=30.0, gt=0, allow_inf_nan=False)
    model_poll_seconds: float | None = Field(default=None, ge=1)
    model_load_timeout_seconds: float = Field(default=120.0, gt=0)
    drift_window_minutes: int = Field(default=60, ge=0, le=1440)
    feedback_place: str | None = None
    fmnist_ui: bool = True
    normalization_check: Literal["strict", "recorded"] = "recorded"
    fmnist_api_keys: SecretStr | None = None
    fmnist_api_key: SecretStr | None = None
    otel_exporter_otlp_endpoint: str | None = None

    argo_workflow_uid: str | None = None
    docker_image_tag: str | None = None
    dvc_data_version: str | None = None
    git_commit: str = UNKNOWN

    @field_validator("fmnist_home")
    @classmethod
    def _absolute(cls, path: Path) -> Path:
        home = path.absolute()
        if odd := [character for character in "%?{}" if character in str(home)]:
            # MLflow and SQLAlchemy would read such a path as different directories, and DVC formats it.
            raise ValueError(f"the path holds {' and '.join(odd)}: use a directory without them")
        return home

    @field_validator("dvc_remote_url", "feedback_place")
    @classmethod
    def _absolute_place(cls, url: str | None) -> str | None:
        if url is None or url.startswith("s3://"):
            return url
        if "://" in url:
            raise ValueError("expected a directory or an s3:// address")
        # Data are pushed from a temporary clone, where a relative path would mean another directory.
        return str(Path(url).absolute())

    @field_validator("fmnist_api_keys")
    @classmethod
    def _usable_keys(cls, listed: SecretStr | None) -> SecretStr | None:
        # A typing error could open the service to everybody, or close it to all, without a sign.
        if listed is not None:
            keys = _split(listed)
            if not keys:
                raise ValueError("it holds no key: list keys with commas, or unset it to serve without keys")
            if odd := [place for place, key in enumerate(keys, 1) if not is_visible_ascii(key)]:
                raise ValueError(
                    f"key {odd[0]} of {len(keys)} has a space or a character outside visible ASCII, which some clients "
                    "cannot send: use another key"
                )
        return listed

    @field_validator("mlflow_tracking_uri", "dvc_repo_url", "gitops_repo_url")
    @classmethod
    def _unambiguous(cls, address: str | None) -> str | None:
        if address:
            try:
                Address(address)
            except InvalidSetting as error:
                raise ValueError(str(error)) from error
        return address

    @field_validator("dvc_remote_url", "feedback_place", "aws_endpoint_url", "ray_storage_endpoint", "ray_address")
    @classmethod
    def _without_credentials(cls, address: str | None) -> str | None:
        # These values are stored where others read them, such as the registry's configuration. Some are `host:port`.
        try:
            found = address is not None and Address(address).credentials() is not None
        except InvalidSetting:
            found = True
        if found or (address and re.match(r"[^/]+@[^/]+:\d+$", address)):
            raise ValueError("expected an address without user and password, because others can read it")
        return address

    @field_validator("log_level", mode="before")
    @classmethod
    def _upper(cls, level: object) -> object:
        return level.upper() if isinstance(level, str) else level

    @classmethod
    def load(cls, **given: Any) -> Self:
        """Normalize the environment, also for vendors, and read it. Values in `given` win, unless they are empty.

        Raises:
            InvalidSetting: names every variable with an unusable value, but not the value.
        """
        problems = normalize({name.upper() for name in cls.model_fields})
        try:
            flags = {name: value.strip() for name, value in given.items() if value is not None}
            settings = cls(**{name: value for name, value in flags.items() if value})
        except ValidationError as error:
            problems += [
                f"{'.'.join(map(str, item['loc'])).upper()}: {item['msg'].removeprefix('Value error, ')}"
                for item in error.errors()
            ]
        except FileNotFoundError as error:
            raise InvalidSetting("the working directory no longer exists: change to another one") from error
        if problems:
            raise InvalidSetting(f"unusable environment variables: {'; '.join(problems)}")
        return settings

    @property
    def on_platform(self) -> bool:
        """Whether this process runs on the platform: `ENVIRONMENT` is `training` or `production`."""
        return self.environment in _PLATFORM

    def require_data_contract(self) -> None:
        """Check, on the platform, that a training run can be traced.

        Raises:
            InvalidSetting: names all missing variables of the data contract.
        """
        contract = ("argo_workflow_uid", "docker_image_tag", "dvc_data_version")
        missing = [name.upper() for name in contract if getattr(self, name) is None]
        if self.on_platform and missing:
            raise InvalidSetting(
                f"ENVIRONMENT is {self.environment}, where every model must be traceable: set {', '.join(missing)}"
            )

    @property
    def tracking_uri(self) -> Address:
        """The URI of MLflow's tracking store and registry."""
        return Address(self.mlflow_tracking_uri or f"sqlite:///{self.fmnist_home / 'mlflow.db'}")

    @property
    def data_repo(self) -> Address:
        """The URL or path of the data registry's Git repository."""
        return Address(self.dvc_repo_url or str(self.fmnist_home / "data-registry.git"))

    @property
    def data_remote_url(self) -> str | None:
        """The DVC remote of the data registry. The local registry's is in the state directory, and moves with it."""
        return self.dvc_remote_url or (None if self.dvc_repo_url else str(self.fmnist_home / "data-store"))

    @property
    def gitops_repo(self) -> Address:
        """The Git repository whose manifests the cluster follows."""
        return Address(self.gitops_repo_url or str(self.fmnist_home / "gitops.git"))

    @property
    def api_keys(self) -> tuple[str, ...]:
        """The API keys of the prediction routes, from a list with commas. Without keys, the routes are open."""
        return _split(self.fmnist_api_keys) if self.fmnist_api_keys else ()

    @property
    def checkpoint_directory(self) -> Path:
        """The directory of checkpoints on disk."""
        return self.fmnist_home / "checkpoints"

    @property
    def studies(self) -> Path:
        """The directory of searches for recipes: their database, recipes and reports."""
        return self.fmnist_home / "studies"

    @property
    def audits(self) -> Path:
        """The directory of audits of data versions: their reports, and the predictions of their folds."""
        return self.fmnist_home / "audits"

    @property
    def verbose(self) -> bool:
        """Whether to show details for debugging."""
        return self.log_level == "DEBUG"

    @property
    def ray_storage_url(self) -> str | None:
        """The S3 endpoint of Ray's checkpoints as a URL. None means that they are on disk."""
        if not self.ray_storage_endpoint:
            return None
        if "://" in self.ray_storage_endpoint:
            return self.ray_storage_endpoint
        return f"{self.ray_storage_scheme}://{self.ray_storage_endpoint}"

    @property
    def ray_storage_location(self) -> str:
        """The place of Ray's checkpoints: a directory, or `bucket/prefix` if there is an S3 endpoint."""
        if self.ray_storage_url is None:
            return str(self.checkpoint_directory)
        return self.ray_storage_path.removeprefix("s3://").strip("/")

    def vendor_environment(self) -> dict[str, str]:
        """Return variables that vendors read under other names, and those that silence them and their telemetry."""
        names = {
            "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
            "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
            "DO_NOT_TRACK": "true",
        }
        if self.ray_address is None:
            # Makes a new local cluster listen on 127.0.0.1 only, in spite of its name. Ray reads it at import.
            names["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"
            # A local node is never reclaimed, and the watcher for that is one more process in each training.
            names["RAY_TRAIN_ENABLE_PREEMPTION_WATCHER"] = "0"
        if self.aws_endpoint_url:
            names["MLFLOW_S3_ENDPOINT_URL"] = self.aws_endpoint_url
        if self.aws_no_verify_ssl:
            names["MLFLOW_S3_IGNORE_TLS"] = "true"
        return names


def _split(listed: SecretStr) -> tuple[str, ...]:
    return tuple(key.strip() for key in listed.get_secret_value().split(",") if key.strip())


def spare_loopback() -> None:
    """Make this process and its children reach loopback addresses without a proxy."""
    proxies = getproxies_environment()
    excepted = proxies.pop("no", "")
    # A star means every host, and works only when it is alone.
    if proxies and excepted.strip() != "*":
        names = [name.strip() for name in excepted.split(",")]
        wanted = ",".join([*filter(None, names), *(name for name in LOOPBACK if name not in names)])
        os.environ["no_proxy"] = os.environ["NO_PROXY"] = wanted


def load_environment(dotenv: Path | None = Path(".env"), **given: Any) -> Settings:
    """Load `dotenv` into the environment, read the settings, and set the variables of vendors.

    Variables that are set already win over `dotenv`. `given` is passed to `Settings.load`.

    Raises:
        InvalidSetting: names every unusable variable or file.
    """
    if dotenv is not None:
        try:
            load_dotenv(dotenv, encoding="utf-8-sig")  # Windows editors start a file with a byte order mark
        except (OSError, ValueError) as error:
            raise InvalidSetting(f"{dotenv.absolute()} cannot be read: {error}") from error
        spare_warnings()
    settings = Settings.load(**given)
    for name, value in settings.vendor_environment().items():
        os.environ.setdefault(name, value)
    spare_loopback()
    return settings
