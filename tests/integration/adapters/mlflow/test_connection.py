import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from mlflow import MlflowClient
from mlflow.store.entities import PagedList

from fmnist.adapters.mlflow import connection as connection_module
from fmnist.adapters.mlflow.connection import MlflowConnection, all_pages
from fmnist.adapters.mlflow.model_store import MlflowModelStore
from fmnist.adapters.mlflow.tracker import MlflowTracker
from fmnist.domain.model.address import Address
from fmnist.domain.model.errors import InvalidSetting, ModelNotFound, RunNotFound, StoreUnavailable
from fmnist.ports.tracker import RunStatus


def test_database_below_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StoreUnavailable, match="are writable"):
        MlflowTracker(MlflowConnection(Address(f"sqlite:///{tmp_path}/file/mlflow.db"))).start("run", {})


def test_file_that_is_not_a_database_is_not_changed(tmp_path: Path) -> None:
    file = tmp_path / "mlflow.db"
    file.write_bytes(b"precious notes " * 100)
    started = time.monotonic()
    with pytest.raises(StoreUnavailable, match=r"mlflow\.db.*not a database"):
        MlflowTracker(MlflowConnection(Address(f"sqlite:///{file}"))).start("run", {})
    assert time.monotonic() - started < 5
    assert file.read_bytes() == b"precious notes " * 100


@pytest.mark.parametrize(
    "uri", ["mlruns", "/a/mlruns", "file:///a/mlruns", "sqlite://", "sqlite:///:memory:", "ftp://x"]
)
def test_error_for_an_unsupported_uri_names_the_supported_ones(uri: str) -> None:
    with pytest.raises(InvalidSetting, match="sqlite"):
        MlflowConnection(Address(uri)).client()


def test_invalid_address_is_refused_without_its_password() -> None:
    with pytest.raises(InvalidSetting, match="MLFLOW_TRACKING_URI") as caught:
        MlflowConnection(Address("http://me:hidden@[host")).client()
    assert "hidden" not in str(caught.value)


def test_reading_a_missing_store_creates_nothing(tmp_path: Path) -> None:
    connection = MlflowConnection(Address(f"sqlite:///{tmp_path}/home/mlflow.db"))
    tracker, store = MlflowTracker(connection), MlflowModelStore(connection)
    assert tracker.find({}) == []
    assert store.versions("a") == []
    with pytest.raises(RunNotFound, match=r"run 'b' is not in MLflow at .*: nothing is there yet"):
        tracker.get("b")
    with pytest.raises(ModelNotFound, match=r"models:/a/1 is not in MLflow at .*: nothing is there yet"):
        store.resolve("models:/a/1")
    assert list(tmp_path.iterdir()) == []
    tracker.get(tracker.start("run", {}))


def test_two_stores_in_one_process_are_independent(
    connection: MlflowConnection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    one, other = MlflowTracker(connection), MlflowTracker(MlflowConnection(Address("sqlite:///other/mlflow.db")))
    mark = {"mark": "two stores"}
    in_one, in_other = one.start("one", mark), other.start("other", mark)
    other.log_artifact(in_other, "a.json", b"{}")
    assert [run.run_id for run in one.find(mark)] == [in_one]
    assert [run.run_id for run in other.find(mark)] == [in_other]
    assert [path.name for path in tmp_path.iterdir()] == ["other"]
    assert list((tmp_path / "other" / "artifacts").rglob("a.json"))


def test_processes_that_use_a_new_store_at_once_do_not_break_it(tmp_path: Path) -> None:
    code = (
        "import sys; from fmnist.adapters.mlflow.connection import MlflowConnection as C; "
        "from fmnist.domain.model.address import Address as A; "
        "from fmnist.adapters.mlflow.tracker import MlflowTracker as T; "
        "T(C(A(sys.argv[1]))).start('run', {'at': 'once'})"
    )
    uri = f"sqlite:///{tmp_path}/mlflow.db"

    def use_it(_: int) -> "subprocess.CompletedProcess[str]":
        return subprocess.run([sys.executable, "-c", code, uri], capture_output=True, text=True, check=False)

    with ThreadPoolExecutor() as pool:
        runs = list(pool.map(use_it, range(3)))
    assert [(run.returncode, run.stdout, run.stderr) for run in runs] == [(0, "", "")] * 3
    assert len(MlflowTracker(MlflowConnection(Address(uri))).find({"at": "once"})) == 3


def test_missing_experiment_has_no_runs(connection: MlflowConnection) -> None:
    elsewhere = MlflowConnection(connection.tracking_uri, experiment="nobody-started-a-run-here")
    assert MlflowTracker(elsewhere).find({}) == []
    assert elsewhere.experiment_id() is None


def test_error_for_a_deleted_experiment_says_how_to_restore_it(connection: MlflowConnection) -> None:
    doomed = MlflowConnection(connection.tracking_uri, experiment="doomed")
    connection.client().delete_experiment(doomed.ensure_experiment())
    with pytest.raises(InvalidSetting, match="mlflow experiments restore"):
        MlflowTracker(doomed).start("run", {})


@pytest.mark.parametrize(
    ("uri", "file"),
    [
        ("sqlite+pysqlite:///{}/a.db", "a.db"),
        ("sqlite:///{}/a#b,c.db", "a#b,c.db"),
        ("sqlite:///{}/100%.db", "100%.db"),
    ],
)
def test_the_checked_file_is_the_one_that_sqlalchemy_opens(tmp_path: Path, uri: str, file: str) -> None:
    (tmp_path / file).parent.mkdir(exist_ok=True)
    (tmp_path / file).write_bytes(b"precious notes " * 100)
    started = time.monotonic()
    with pytest.raises(StoreUnavailable, match="not a database"):
        MlflowConnection(Address(uri.format(tmp_path))).client()
    assert time.monotonic() - started < 5


@pytest.mark.parametrize(
    ("path", "opened"),
    [("a%20b.db", "a b.db"), ("a%2Fb.db", "a/b.db"), ("a?b/mlflow.db", "a"), ("a.db?", "a.db"), ("a?b=c/m.db", "a")],
)
def test_uri_that_would_open_another_file_is_refused(tmp_path: Path, path: str, opened: str) -> None:
    connection = MlflowConnection(Address(f"sqlite:///{tmp_path}/{path}"))
    with pytest.raises(InvalidSetting, match=r"MLFLOW_TRACKING_URI .* would be opened as ") as refused:
        connection.ensure_experiment()
    assert repr(f"{tmp_path}/{opened}") in str(refused.value)
    assert list(tmp_path.iterdir()) == []


def test_options_of_a_database_are_accepted(tmp_path: Path) -> None:
    MlflowTracker(MlflowConnection(Address(f"sqlite:///{tmp_path}/mlflow.db?timeout=30"))).start("run", {})
    assert (tmp_path / "mlflow.db").exists()


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A state directory with a run in it."""
    tracker = MlflowTracker(MlflowConnection(Address(f"sqlite:///{tmp_path}/old/mlflow.db")))
    tracker.log_artifact(tracker.start("run", {"mark": "moved"}), "a.json", b"{}")
    return tmp_path / "old"


def test_error_for_a_moved_state_directory_says_what_to_do_and_creates_nothing(home: Path) -> None:
    moved = home.rename(home.with_name("new place"))
    connection = MlflowConnection(Address(f"sqlite:///{moved}/mlflow.db"))
    for use in (lambda tracker: tracker.find({}), lambda tracker: tracker.start("run", {})):
        with pytest.raises(InvalidSetting, match=r"was moved: it expects its artifacts in .*/old/artifacts") as caught:
            use(MlflowTracker(connection))
    assert not home.exists()
    # The advice works for any name of the directory.
    subprocess.run(str(caught.value).rpartition(": ")[2], shell=True, check=True)  # noqa: S602 - the advice is a shell command
    (run,) = MlflowTracker(connection).find({"mark": "moved"})
    assert [file.path for file in connection.client().list_artifacts(run.run_id)] == ["a.json"]


def test_moved_state_directory_is_refused_for_any_experiment(home: Path) -> None:
    moved = home.rename(home.with_name("new"))
    with pytest.raises(InvalidSetting, match=r"was moved: it expects its artifacts in .*/old/artifacts"):
        MlflowTracker(MlflowConnection(Address(f"sqlite:///{moved}/mlflow.db"), experiment="another")).start("run", {})
    assert not home.exists()


def test_copied_state_directory_does_not_write_into_the_original(home: Path) -> None:
    copied = shutil.copytree(home, home.with_name("copy"))
    with pytest.raises(InvalidSetting, match=r"is a copy: .*FMNIST_HOME=.*/old"):
        MlflowTracker(MlflowConnection(Address(f"sqlite:///{copied}/mlflow.db"))).start("run", {})
    assert len(MlflowTracker(MlflowConnection(Address(f"sqlite:///{home}/mlflow.db"))).find({})) == 1


@pytest.mark.parametrize("deleted", [False, True])
def test_another_experiment_with_artifacts_elsewhere_does_not_block_a_good_store(
    home: Path, tmp_path: Path, deleted: bool
) -> None:
    connection = MlflowConnection(Address(f"sqlite:///{home}/mlflow.db"))
    client = connection.client()
    theirs = client.create_experiment("theirs", f"{tmp_path}/gone/artifacts")
    if deleted:
        client.delete_experiment(theirs)
    connection_module._open.cache_clear()  # like a new process
    (run,) = MlflowTracker(connection).find({"mark": "moved"})
    assert [file.path for file in connection.client().list_artifacts(run.run_id)] == ["a.json"]


def test_deleted_experiment_with_artifacts_elsewhere_does_not_block_a_new_one(tmp_path: Path) -> None:
    first = MlflowConnection(Address(f"sqlite:///{tmp_path}/home/mlflow.db"), experiment="first")
    first.ensure_experiment()
    client = first.client()
    client.delete_experiment(client.create_experiment("theirs", f"{tmp_path}/gone/artifacts"))
    MlflowTracker(MlflowConnection(first.tracking_uri, experiment="second")).start("run", {})


def test_moved_state_directory_is_refused_for_a_run_resumed_in_another_experiment(home: Path, tmp_path: Path) -> None:
    connection = MlflowConnection(Address(f"sqlite:///{home}/mlflow.db"))
    (run,) = MlflowTracker(connection).find({})
    connection.client().create_experiment("theirs", f"{tmp_path}/their artifacts")
    moved = home.rename(home.with_name("new"))
    tracker = MlflowTracker(MlflowConnection(Address(f"sqlite:///{moved}/mlflow.db"), experiment="theirs"))
    tracker.start("run", {})
    with pytest.raises(InvalidSetting, match=r"was moved: it expects its artifacts in .*/old/artifacts"):
        tracker.set_status(run.run_id, RunStatus.RUNNING)
    assert not home.exists()


def test_experiment_that_the_user_created_elsewhere_is_used(home: Path, tmp_path: Path) -> None:
    connection = MlflowConnection(Address(f"sqlite:///{home}/mlflow.db"), experiment="theirs")
    MlflowConnection(connection.tracking_uri).client().create_experiment("theirs", f"{tmp_path}/their artifacts")
    tracker = MlflowTracker(connection)
    tracker.log_artifact(tracker.start("run", {}), "a.json", b"{}")
    assert list((tmp_path / "their artifacts").rglob("a.json"))


def test_experiment_that_another_process_creates_meanwhile_is_used(
    connection: MlflowConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    create = MlflowClient.create_experiment

    def create_second(client: MlflowClient, name: str, artifact_location: str | None = None) -> str:
        first.append(create(client, name, artifact_location))
        return str(create(client, name, artifact_location))

    first: list[str] = []
    monkeypatch.setattr(MlflowClient, "create_experiment", create_second)
    assert MlflowConnection(connection.tracking_uri, experiment="ours and theirs").ensure_experiment() == first[0]


def test_experiment_that_mlflow_refuses_is_named(connection: MlflowConnection) -> None:
    with pytest.raises(InvalidSetting, match="refuses experiment 'xxx"):
        MlflowConnection(connection.tracking_uri, experiment="x" * 501).ensure_experiment()


def test_search_returns_all_pages_in_their_order() -> None:
    pages = {None: PagedList([1, 2], "second"), "second": PagedList([3], "third"), "third": PagedList([4], None)}
    assert all_pages(pages.__getitem__) == [1, 2, 3, 4]


@pytest.mark.parametrize("place", ["gs://bucket/a", "dbfs:/a", "ftp://user:s3cret@127.0.0.1/a"])
def test_experiment_with_unreadable_artifacts_starts_no_run(connection: MlflowConnection, place: str) -> None:
    theirs = MlflowConnection(connection.tracking_uri, experiment=f"theirs at {place[:4]}")
    theirs.client().create_experiment(theirs.experiment, place)
    with pytest.raises(InvalidSetting, match=r"keeps its artifacts at .*--serve-artifacts.*a new experiment") as it:
        MlflowTracker(theirs).start("run", {})
    assert "s3cret" not in str(it.value)
    assert MlflowTracker(theirs).find({}) == []
