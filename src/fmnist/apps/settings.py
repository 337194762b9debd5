"""The only reader of the environment. Every variable keeps the platform's name, and works unset on a laptop."""

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
_UNKNOWN = "DEV"


class Settings(BaseSettings):
    """What the environment says. An empty variable counts as unset; a field's variable is its name in capitals."""

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
    request_timeout_seconds: float = Field(default=30.0, gt=0)
    model_poll_seconds: float | None = Field(default=None, ge=1)
    model_load_timeout_seconds: float = Field(default=120.0, gt=0)
    normalization_check: Literal["strict", "recorded"] = "recorded"
    fmnist_api_keys: SecretStr | None = None
    fmnist_api_key: SecretStr | None = None

    argo_workflow_uid: str | None = None
    docker_image_tag: str | None = None
    dvc_data_version: str | None = None
    git_commit: str | None = None

    @field_validator("fmnist_home")
    @classmethod
    def _absolute(cls, path: Path) -> Path:
        home = path.absolute()
        if odd := [character for character in "%?{}" if character in str(home)]:
            # Syntax: MLflow makes another directory than SQLAlchemy writes to, and DVC formats the path.
            raise ValueError(f"the path holds {' and '.join(odd)}: name a directory without")
        return home

    @field_validator("dvc_remote_url")
    @classmethod
    def _absolute_place(cls, url: str | None) -> str | None:
        if url is None or url.startswith("s3://"):
            return url
        if "://" in url:
            raise ValueError("expected a directory or an s3:// address")
        # The data are pushed from a clone elsewhere, which is removed.
        return str(Path(url).absolute())

    @field_validator("fmnist_api_keys")
    @classmethod
    def _usable_keys(cls, listed: SecretStr | None) -> SecretStr | None:
        # A service that is open to all, or to nobody, because of a slip would not show it.
        if listed is not None:
            keys = _split(listed)
            if not keys:
                raise ValueError("it holds no key: list keys with commas, or unset it to serve without keys")
            if odd := [place for place, key in enumerate(keys, 1) if not is_visible_ascii(key)]:
                raise ValueError(
                    f"key {odd[0]} of {len(keys)} has a space or a character outside visible ASCII: not every client "
                    "can send it; make another"
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

    @field_validator("dvc_remote_url", "aws_endpoint_url", "ray_storage_endpoint", "ray_address")
    @classmethod
    def _without_credentials(cls, address: str | None) -> str | None:
        # They are written where others read them, into the registry's configuration for one. An endpoint may be a host.
        try:
            found = address is not None and Address(address).credentials() is not None
        except InvalidSetting:
            found = True
        if found or (address and re.match(r"[^/]+@[^/]+:\d+$", address)):
            raise ValueError("expected an address without user and password, which others could read there")
        return address

    @field_validator("log_level", mode="before")
    @classmethod
    def _upper(cls, level: object) -> object:
        return level.upper() if isinstance(level, str) else level

    @classmethod
    def load(cls, **given: Any) -> Self:
        """Normalize the environment, for ourselves and for vendors, and read it; what was `given` wins, unless empty.

        Raises:
            InvalidSetting: names every variable whose value cannot be used, without the value.
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
            raise InvalidSetting("the working directory is not there any more: change to another one") from error
        if problems:
            raise InvalidSetting(f"unusable environment variables: {'; '.join(problems)}")
        return settings

    @property
    def on_platform(self) -> bool:
        """Whether this is a platform's pipeline or service, and no laptop."""
        return self.environment in _PLATFORM

    def require_data_contract(self) -> None:
        """See that a training run on the platform can be traced.

        Raises:
            InvalidSetting: names all variables of the data contract that are missing.
        """
        contract = ("argo_workflow_uid", "docker_image_tag", "dvc_data_version")
        missing = [name.upper() for name in contract if getattr(self, name) is None]
        if self.on_platform and missing:
            raise InvalidSetting(
                f"ENVIRONMENT is {self.environment}, where every model has to be traceable: set {', '.join(missing)}"
            )

    @property
    def workflow_uid(self) -> str:
        """The Argo workflow that this process belongs to."""
        return self.argo_workflow_uid or _UNKNOWN

    @property
    def image_tag(self) -> str:
        """The image that this process runs in."""
        return self.docker_image_tag or _UNKNOWN

    @property
    def tracking_uri(self) -> Address:
        """Where MLflow's tracker and registry are."""
        return Address(self.mlflow_tracking_uri or f"sqlite:///{self.fmnist_home / 'mlflow.db'}")

    @property
    def data_repo(self) -> Address:
        """The data registry's Git repository."""
        return Address(self.dvc_repo_url or str(self.fmnist_home / "data-registry.git"))

    @property
    def data_remote_url(self) -> str | None:
        """Where the registry's data lies; the local one's lies beside it, wherever the state directory is moved."""
        return self.dvc_remote_url or (None if self.dvc_repo_url else str(self.fmnist_home / "data-store"))

    @property
    def gitops_repo(self) -> Address:
        """The Git repository whose manifests the cluster follows."""
        return Address(self.gitops_repo_url or str(self.fmnist_home / "gitops.git"))

    @property
    def api_keys(self) -> tuple[str, ...]:
        """The keys that open the prediction routes, from a list with commas; none leaves them open."""
        return _split(self.fmnist_api_keys) if self.fmnist_api_keys else ()

    @property
    def checkpoint_directory(self) -> Path:
        """Where checkpoints are kept on the disk."""
        return self.fmnist_home / "checkpoints"

    @property
    def verbose(self) -> bool:
        """Whether to show what is of use to whoever looks for a fault."""
        return self.log_level == "DEBUG"

    @property
    def ray_storage_url(self) -> str | None:
        """The S3 endpoint of Ray's checkpoints as a URL, from `host:port` or a URL; None keeps them on the disk."""
        if not self.ray_storage_endpoint:
            return None
        if "://" in self.ray_storage_endpoint:
            return self.ray_storage_endpoint
        return f"{self.ray_storage_scheme}://{self.ray_storage_endpoint}"

    @property
    def ray_storage_location(self) -> str:
        """Where Ray's checkpoints are kept: a directory, or `bucket/prefix` when there is an endpoint."""
        if self.ray_storage_url is None:
            return str(self.checkpoint_directory)
        return self.ray_storage_path.removeprefix("s3://").strip("/")

    @property
    def image_commit(self) -> str:
        """The Git commit that this process's image was built from."""
        return self.git_commit or _UNKNOWN

    def vendor_environment(self) -> dict[str, str]:
        """Return what vendors read under other names, and what keeps them quiet and from calling home."""
        names = {
            "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
            "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
            "DO_NOT_TRACK": "true",
        }
        if self.ray_address is None:
            # A cluster of our own keeps to 127.0.0.1, whatever Ray named its switch for. It is read as Ray is imported.
            names["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"
        if self.aws_endpoint_url:
            names["MLFLOW_S3_ENDPOINT_URL"] = self.aws_endpoint_url
        if self.aws_no_verify_ssl:
            names["MLFLOW_S3_IGNORE_TLS"] = "true"
        return names


def _split(listed: SecretStr) -> tuple[str, ...]:
    return tuple(key.strip() for key in listed.get_secret_value().split(",") if key.strip())


def spare_loopback() -> None:
    """Have every client of this process, and of those that it starts, ask loopback without a proxy."""
    proxies = getproxies_environment()
    excepted = proxies.pop("no", "")
    # A star excepts every host, and counts only while it is alone.
    if proxies and excepted.strip() != "*":
        names = [name.strip() for name in excepted.split(",")]
        wanted = ",".join([*filter(None, names), *(name for name in LOOPBACK if name not in names)])
        os.environ["no_proxy"] = os.environ["NO_PROXY"] = wanted


def load_environment(dotenv: Path | None = Path(".env"), **given: Any) -> Settings:
    """Read the settings, and tell vendors of them what they read under other names; `given` is as of `Settings.load`.

    A process of ours takes `.env` of its working directory into the environment first, where it does not overrule.

    Raises:
        InvalidSetting: names what cannot be used.
    """
    if dotenv is not None:
        try:
            load_dotenv(dotenv, encoding="utf-8-sig")  # Windows' editors put a mark before the first name
        except (OSError, ValueError) as error:
            raise InvalidSetting(f"{dotenv.absolute()} cannot be read: {error}") from error
        spare_warnings()
    settings = Settings.load(**given)
    for name, value in settings.vendor_environment().items():
        os.environ.setdefault(name, value)
    spare_loopback()
    return settings
