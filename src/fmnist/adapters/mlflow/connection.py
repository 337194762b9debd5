"""How MLflow is reached: plain settings that travel to a worker, and the client that they stand for.

Nothing here touches MLflow's global tracking URI or active run: connections to different stores live side by side.
"""

import fcntl
import shlex
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

import requests
from mlflow import MlflowClient
from mlflow.entities import Experiment, LifecycleStage
from mlflow.environment_variables import (
    MLFLOW_TRACKING_CLIENT_CERT_PATH,
    MLFLOW_TRACKING_INSECURE_TLS,
    MLFLOW_TRACKING_SERVER_CERT_PATH,
)
from mlflow.exceptions import MlflowException
from mlflow.store.entities import PagedList
from mlflow.utils.file_utils import get_local_path_or_none
from requests.adapters import HTTPAdapter
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError
from urllib3.util import Retry

from fmnist.adapters.mlflow.errors import translated, unavailable
from fmnist.domain.model.address import Address, without_credentials
from fmnist.domain.model.errors import FmnistError, InvalidSetting, RunNotFound

_PROBE_SECONDS = (3, 8)  # to connect, and to answer
# Three seconds of waiting in all, for a server that restarts; one that takes calls and never answers gets one more.
_PROBE_RETRIES = Retry(total=3, read=1, backoff_factor=0.5, status_forcelist=(502, 503, 504), raise_on_status=False)
_READ_SCHEMES = {"", "file", "http", "https", "mlflow-artifacts", "s3"}  # of the places that `downloading` reads
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class MlflowConnection:
    """Where runs and models are kept.

    Attributes:
        tracking_uri: `sqlite:///FILE`, `http(s)://SERVER`, or a database that MLflow knows.
        experiment: made when the first run starts.
        artifact_root: folder for the artifacts of an sqlite store, beside its file when None; a server has its own.
        insecure_tls: accept any certificate of the server. MLflow knows this for the process as a whole only.
    """

    tracking_uri: Address
    experiment: str = "fashion-mnist"
    artifact_root: str | None = None
    insecure_tls: bool = False

    def client(self, what: str = "the run", missing: type[FmnistError] = RunNotFound) -> MlflowClient:
        """Return the client, one per connection and process; the first call looks whether the store answers.

        `what` is looked for, and is an error of the type `missing` where there is nothing yet.

        Raises:
            InvalidSetting: a URI of a store that MLflow does not know.
            StoreUnavailable: the store does not answer, or may not be written.
            FmnistError: `missing`.
        """
        if self.is_new():
            raise missing(f"{what} is not in MLflow at {self.tracking_uri}: nothing is there yet")
        return _open(self)

    def is_new(self) -> bool:
        """Whether this is an sqlite store whose file the first run has yet to make: to look into it makes nothing."""
        database = _sqlite_file(self.tracking_uri)
        try:
            return database is not None and not database.exists()
        except OSError as error:
            raise unavailable(self.tracking_uri, "its file", error) from error

    def experiment_id(self) -> str | None:
        """Return the experiment's id, or None when no run was started in it yet."""
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
                f"restore it with `mlflow experiments restore -x {found.experiment_id}`, or name another in "
                "MLFLOW_EXPERIMENT_NAME"
            )
        return str(found.experiment_id)

    def ensure_experiment(self) -> str:
        """Return the experiment's id, and make it when it is not there, and the store too.

        Raises:
            InvalidSetting: its artifacts would lie where models are not read.
        """
        experiment = self._ensured()
        with translated(self.tracking_uri, f"experiment {self.experiment!r}"):
            place = self.client().get_experiment(experiment).artifact_location
        if urlsplit(place).scheme not in _READ_SCHEMES:
            raise InvalidSetting(
                f"experiment {self.experiment!r} keeps its artifacts at {without_credentials(place)}: expected a "
                "directory, S3 or an MLflow server, for models are read from no other place; have the server serve its "
                "artifacts (--serve-artifacts), and name a new experiment in MLFLOW_EXPERIMENT_NAME"
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
                # Another process was quicker.
                if error.error_code == "RESOURCE_ALREADY_EXISTS" and (known := self.experiment_id()) is not None:
                    return known
                raise
        return str(made)

    def expect_artifacts(self, experiment: Experiment) -> None:
        """See that a run of this experiment can be written.

        Raises:
            InvalidSetting: its artifacts lie where the store was once.
        """
        if (database := _sqlite_file(self.tracking_uri)) is not None:
            _expect_artifacts(self, database, [experiment])

    def _artifact_location(self) -> str | None:
        """Absolute for sqlite, because MLflow would take a folder under the working directory of the moment."""
        database = _sqlite_file(self.tracking_uri)
        if database is None:
            return None
        # As a URI: in a plain path MLflow decodes `%XX`.
        return self.artifact_folder(database).as_uri()

    def artifact_folder(self, database: Path) -> Path:
        """Return where the artifacts of an sqlite store are kept."""
        return Path(self.artifact_root or database.parent / "artifacts").resolve()


def all_pages(fetch: Callable[[str | None], PagedList[_T]]) -> list[_T]:
    """Return everything that a search finds; `fetch` is given the token of the page, None for the first."""
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
        raise InvalidSetting(f"MLFLOW_TRACKING_URI {str(address)!r} is no address: {error}") from error
    if scheme in {"", "file"}:
        raise InvalidSetting(
            f"MLFLOW_TRACKING_URI {str(address)!r} is a folder, which MLflow no longer takes as a store: "
            "use sqlite:////absolute/path/mlflow.db, or http(s)://SERVER"
        )
    if scheme in {"http", "https"}:
        _probe_server(address, verify=not connection.insecure_tls)
        with translated(address, "the connection"):
            return MlflowClient(uri, registry_uri=uri)
    if (database := _sqlite_file(address)) is not None:
        with _sole_user_of(database, address):
            client = _open_database(address)
        with translated(address, "the place of its artifacts"):
            found = all_pages(lambda token: client.search_experiments(page_token=token))
            # Others may lie where somebody chose; where ours is yet to be made, they tell whether the store was moved.
            ours = [experiment for experiment in found if experiment.name == connection.experiment]
            _expect_artifacts(connection, database, ours or found)
        return client
    return _open_database(address)


def _open_database(address: Address) -> MlflowClient:
    """Make the client and both of its stores: each of them creates or checks its tables when it is first used."""
    uri = address.reveal()
    with translated(address, "the connection"):
        client = MlflowClient(uri, registry_uri=uri)
        client.search_registered_models(max_results=1)
    return client


def _expect_artifacts(connection: MlflowConnection, database: Path, experiments: Iterable[Experiment]) -> None:
    """Refuse a state directory that was moved or copied, for its database holds absolute paths.

    Nothing would be found where the artifacts were, and what is written would go there.
    """
    expected = connection.artifact_folder(database)
    recorded = {get_local_path_or_none(experiment.artifact_location) for experiment in experiments}
    for there in sorted(Path(path).resolve() for path in recorded if path):
        # Of another name, or with the database apart, it is a place that somebody chose.
        if there == expected or there.name != expected.name or expected.parent != database.parent:
            continue
        home, was = shlex.quote(str(database.parent)), shlex.quote(str(there.parent))
        if not there.exists() and (expected.exists() or not there.parent.exists()):
            raise InvalidSetting(
                f"MLflow's database {database} was moved: it keeps its artifacts in {there}, which is not there. "
                f"Move the state directory back, or link the old place to the new one: ln -s {home} {was}"
            )
        if expected.exists() and there.with_name(database.name).exists():
            raise InvalidSetting(
                f"MLflow's database {database} is a copy: it keeps its artifacts in {there}, beside the original. "
                f"Use that, with FMNIST_HOME={was}, or begin with another state directory"
            )


def _probe_server(address: Address, *, verify: bool) -> None:
    """Ask with little patience: MLflow's own would leave a person waiting for a server that is not there.

    Certificates are taken and shown as MLflow does it.
    """
    uri = address.reveal()
    authority = MLFLOW_TRACKING_SERVER_CERT_PATH.get() if verify else None
    certificate = MLFLOW_TRACKING_CLIENT_CERT_PATH.get()
    try:
        with requests.Session() as session:
            session.mount(f"{urlsplit(uri).scheme}://", HTTPAdapter(max_retries=_PROBE_RETRIES))
            answer = session.get(
                f"{uri.rstrip('/')}/health", timeout=_PROBE_SECONDS, verify=authority or verify, cert=certificate
            )
        if answer.status_code >= 500:
            answer.raise_for_status()
    except OSError as error:  # those of requests are, and what it raises for a certificate's file that is not there
        raise unavailable(address, "the connection", error) from error


@contextmanager
def _sole_user_of(database: Path, address: Address) -> Iterator[None]:
    """Keep other processes out while the tables are made, and look first whether the file can be written.

    Several processes that initialise one sqlite store break it, and on a file that it cannot use MLflow tries again
    for minutes.
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
    """Return the file that SQLAlchemy opens for an sqlite URI; None for another store's URI.

    Raises:
        InvalidSetting: it names no file, or SQLAlchemy reads another name than is written.
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
            f"MLFLOW_TRACKING_URI {str(address)!r} would be opened as {url.database!r}: %XX is syntax in it, and what "
            "follows a ? is options; write the path as it is, or name one without them"
        )
    return Path(url.database).resolve()
