"""Connects to MLflow: plain settings that can be pickled for a worker, and the client that is made from them.

Nothing here may touch MLflow's global tracking URI or active run, so that one process can use several stores.
"""

import fcntl
import shlex
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import cache
from http import HTTPStatus
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

from mlflow import MlflowClient
from mlflow.entities import Experiment, LifecycleStage
from mlflow.environment_variables import MLFLOW_TRACKING_INSECURE_TLS
from mlflow.exceptions import MlflowException
from mlflow.store.entities import PagedList
from mlflow.utils.credentials import get_default_host_creds
from mlflow.utils.file_utils import get_local_path_or_none
from mlflow.utils.rest_utils import http_request
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from fmnist.adapters.mlflow.errors import translated, unavailable
from fmnist.domain.model.address import Address, without_credentials
from fmnist.domain.model.errors import FmnistError, InvalidSetting, RunNotFound

# The first request. It fails after 3 s if no server listens, and after 26 s if the server does not answer.
_PROBE = {"timeout": 8, "max_retries": 2, "backoff_factor": 1}
_READ_SCHEMES = {"", "file", "http", "https", "mlflow-artifacts", "s3"}  # `downloading` reads only these
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class MlflowConnection:
    """The MLflow store of runs and models.

    Attributes:
        tracking_uri: `sqlite:///FILE`, `http(s)://SERVER`, or another database URI of MLflow.
        experiment: name of the experiment, which the first run creates.
        artifact_root: artifact folder of an sqlite store; None is `artifacts` beside its file. A server has its own.
        insecure_tls: accept any certificate of the server. MLflow applies this to the whole process.
    """

    tracking_uri: Address
    experiment: str = "fashion-mnist"
    artifact_root: str | None = None
    insecure_tls: bool = False

    def client(self, what: str = "the run", missing: type[FmnistError] = RunNotFound) -> MlflowClient:
        """Return the client, one per connection and process. The first call checks that the store answers.

        Args:
            what: the object that the caller looks for, for the message.
            missing: the error to raise if the store does not exist yet.

        Raises:
            InvalidSetting: MLflow does not know this kind of URI.
            StoreUnavailable: the store does not answer, or is not writable.
            FmnistError: `missing`.
        """
        if self.is_new():
            raise missing(f"{what} is not in MLflow at {self.tracking_uri}: nothing is there yet")
        return _open(self)

    def is_new(self) -> bool:
        """Return whether this is an sqlite store without a file. The first run creates it; a query must not."""
        database = _sqlite_file(self.tracking_uri)
        try:
            return database is not None and not database.exists()
        except OSError as error:
            raise unavailable(self.tracking_uri, "its file", error) from error

    def experiment_id(self) -> str | None:
        """Return the experiment's id, or None if it does not exist yet."""
        if self.is_new():
            return None
        client = self.client()
        with translated(self.tracking_uri, f"experiment {self.experiment!r}"):
            found = client.get_experiment_by_name(self.experiment)
        if found is None:
            return None
        if found.lifecycle_stage != LifecycleStage.ACTIVE:
            raise InvalidSetting(
                f"experiment {self.experiment!r} was deleted in MLflow at {self.tracking_uri}: "
                f"restore it with `mlflow experiments restore -x {found.experiment_id}`, or set "
                "MLFLOW_EXPERIMENT_NAME to another name"
            )
        return str(found.experiment_id)

    def ensure_experiment(self) -> str:
        """Return the experiment's id. Create the store and the experiment if they do not exist.

        Raises:
            InvalidSetting: its artifacts lie in a kind of store from which `downloading` cannot read models.
        """
        experiment = self._ensured()
        with translated(self.tracking_uri, f"experiment {self.experiment!r}"):
            place = self.client().get_experiment(experiment).artifact_location
        if urlsplit(place).scheme not in _READ_SCHEMES:
            raise InvalidSetting(
                f"experiment {self.experiment!r} keeps its artifacts at {without_credentials(place)}: expected a "
                "directory, S3 or an MLflow server, because fmnist reads models only from these; start the server with "
                "--serve-artifacts, and set MLFLOW_EXPERIMENT_NAME to a new experiment"
            )
        return experiment

    def _ensured(self) -> str:
        _open(self)
        if (known := self.experiment_id()) is not None:
            return known
        with translated(self.tracking_uri, f"experiment {self.experiment!r}"):
            try:
                made = self.client().create_experiment(self.experiment, artifact_location=self._artifact_location())
            except MlflowException as error:
                # Another process created it meanwhile.
                if error.error_code == "RESOURCE_ALREADY_EXISTS" and (known := self.experiment_id()) is not None:
                    return known
                raise
        return str(made)

    def expect_artifacts(self, experiments: Iterable[Experiment]) -> None:
        """Refuse a state directory that was moved or copied. Its database holds absolute paths of the old place.

        MLflow would write artifacts of these experiments to the old place, and would not find those of the new one.

        Raises:
            InvalidSetting: the artifact paths of an sqlite store still point to the old place.
        """
        database = _sqlite_file(self.tracking_uri)
        if database is None:
            return
        expected = self.artifact_folder(database)
        recorded = {get_local_path_or_none(experiment.artifact_location) for experiment in experiments}
        for there in sorted(Path(path).resolve() for path in recorded if path):
            # With another folder name, or apart from the database, the user chose this place.
            if there == expected or there.name != expected.name or expected.parent != database.parent:
                continue
            home, was = shlex.quote(str(database.parent)), shlex.quote(str(there.parent))
            if not there.exists() and (expected.exists() or not there.parent.exists()):
                raise InvalidSetting(
                    f"MLflow's database {database} was moved: it expects its artifacts in {there}, which does not "
                    f"exist. Move the state directory back, or link the old place to the new one: ln -s {home} {was}"
                )
            if expected.exists() and there.with_name(database.name).exists():
                raise InvalidSetting(
                    f"MLflow's database {database} is a copy: it keeps its artifacts in {there}, beside the original. "
                    f"Use the original (FMNIST_HOME={was}), or start with an empty state directory"
                )

    def _artifact_location(self) -> str | None:
        """Return an absolute URI for sqlite, because MLflow's default is relative to the working directory."""
        database = _sqlite_file(self.tracking_uri)
        if database is None:
            return None
        # A URI, because MLflow would decode `%XX` in a plain path.
        return self.artifact_folder(database).as_uri()

    def artifact_folder(self, database: Path) -> Path:
        """Return the artifact folder of an sqlite store."""
        return Path(self.artifact_root or database.parent / "artifacts").resolve()


def all_pages(fetch: Callable[[str | None], PagedList[_T]]) -> list[_T]:
    """Return the results of a search from all pages. `fetch` gets the token of a page, None for the first."""
    page = fetch(None)
    found = list(page)
    while page.token:
        page = fetch(page.token)
        found += page
    return found


@cache
def _open(connection: MlflowConnection) -> MlflowClient:
    address, uri = connection.tracking_uri, connection.tracking_uri.reveal()
    if connection.insecure_tls:
        MLFLOW_TRACKING_INSECURE_TLS.set(True)
    try:
        scheme = urlsplit(uri).scheme
    except ValueError as error:
        raise InvalidSetting(f"MLFLOW_TRACKING_URI {str(address)!r} is not a URI: {error}") from error
    if scheme in {"", "file"}:
        raise InvalidSetting(
            f"MLFLOW_TRACKING_URI {str(address)!r} is a folder, which MLflow no longer supports as a store: "
            "use sqlite:////absolute/path/mlflow.db, or http(s)://SERVER"
        )
    if scheme in {"http", "https"}:
        with translated(address, "the connection"):
            answer = http_request(get_default_host_creds(uri), "/health", "GET", **_PROBE)
            if answer.status_code >= HTTPStatus.INTERNAL_SERVER_ERROR:
                answer.raise_for_status()
            return MlflowClient(uri, registry_uri=uri)
    if (database := _sqlite_file(address)) is not None:
        with _sole_user_of(database, address):
            client = _open_database(address)
        with translated(address, "the place of its artifacts"):
            found = all_pages(lambda token: client.search_experiments(page_token=token))
            # Check only our experiment, or all of them if ours does not exist yet: they tell whether the store moved.
            ours = [experiment for experiment in found if experiment.name == connection.experiment]
            connection.expect_artifacts(ours or found)
        return client
    return _open_database(address)


def _open_database(address: Address) -> MlflowClient:
    """Make the client and use both of its stores once, because each creates or checks its tables at first use."""
    uri = address.reveal()
    with translated(address, "the connection"):
        client = MlflowClient(uri, registry_uri=uri)
        client.search_registered_models(max_results=1)
    return client


@contextmanager
def _sole_user_of(database: Path, address: Address) -> Iterator[None]:
    """Lock the database while its tables are created, and check first that the file is writable.

    Processes that initialise one sqlite store at the same time break it. MLflow retries an unusable file for minutes.
    """
    try:
        database.parent.mkdir(parents=True, exist_ok=True)
        lock = database.with_name(f"{database.name}.lock").open("w")
    except OSError as error:
        raise unavailable(address, "its file", error) from error
    with lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            with closing(sqlite3.connect(database)) as file:
                file.execute("BEGIN IMMEDIATE")
        except sqlite3.Error as error:
            raise unavailable(address, "its file", error) from error
        yield


def _sqlite_file(address: Address) -> Path | None:
    """Return the file that SQLAlchemy opens for an sqlite URI, or None for another kind of URI.

    Raises:
        InvalidSetting: the URI names no file, or SQLAlchemy would open a file of another name.
    """
    try:
        url = make_url(address.reveal())
    except (ArgumentError, ValueError):
        return None
    if url.drivername.partition("+")[0] != "sqlite":
        return None
    if url.database in {None, "", ":memory:"} or url.database.startswith(("sqlite:", "file:")):
        raise InvalidSetting(
            f"MLFLOW_TRACKING_URI {str(address)!r} names no file: use sqlite:////absolute/path/mlflow.db"
        )
    path, mark, options = address.reveal().partition(":///")[2].partition("?")
    if url.database != path or (mark and ("/" in options or "=" not in options)):
        raise InvalidSetting(
            f"MLFLOW_TRACKING_URI {str(address)!r} would be opened as {url.database!r}: %XX is an escape in a URI, and "
            "? starts its options; use a path without % and ?"
        )
    return Path(url.database).resolve()
