"""The DVC registry: the port's contract on a real repository, and errors that only DVC, Git and files cause."""

import dataclasses
import shutil
import socket
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st

from fmnist.adapters.dvc.registry import DvcDataRegistry
from fmnist.adapters.dvc.settings import RegistryPaths, RegistrySettings
from fmnist.domain.model.address import Address
from fmnist.domain.model.data.dataset import SplitFile
from fmnist.domain.model.errors import CorruptData, InvalidSetting, SplitNotFound, StoreUnavailable
from fmnist.testing.contracts.data_registry import CONTENT, FILES, DataRegistryContract
from fmnist.testing.data import toy_splits
from stack.services import HOST, free_ports, git_server
from tests.integration.security.tls import copy
from tests.integration.services import running
from tests.integration.support import change_files, git, make_dvc_registry


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> RegistrySettings:
    return make_dvc_registry(tmp_path_factory.mktemp("template"), CONTENT, files=FILES)


@pytest.fixture
def settings(template: RegistrySettings, tmp_path: Path) -> RegistrySettings:
    """A copy of the registry and its store for one test. The settings have the URL of the store."""
    copied = shutil.copytree(Path(str(template.repo)).parent, tmp_path / "copy")
    return dataclasses.replace(template, repo=Address(str(copied / "registry.git")), remote_url=str(copied / "store"))


@pytest.fixture
def registry(settings: RegistrySettings) -> DvcDataRegistry:
    return DvcDataRegistry(settings)


class TestDvcDataRegistry(DataRegistryContract):
    @pytest.fixture
    def registry(self, settings: RegistrySettings) -> DvcDataRegistry:
        return DvcDataRegistry(settings)

    @pytest.fixture
    def empty_registry(self, tmp_path: Path) -> DvcDataRegistry:
        git(tmp_path, "init", "--quiet", "--bare", "empty.git")
        return DvcDataRegistry(RegistrySettings(repo=Address(str(tmp_path / "empty.git"))))

    def damage(self, registry: DvcDataRegistry, file: SplitFile) -> None:
        path = Path(file.uri)
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 1
        path.chmod(0o644)
        path.write_bytes(content)

    def lose(self, registry: DvcDataRegistry, file: SplitFile) -> None:
        Path(file.uri).unlink()


def test_dvc_variables_of_the_user_do_not_affect_reading(
    registry: DvcDataRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("DVC_GLOBAL_CONFIG_DIR", "DVC_SYSTEM_CONFIG_DIR", "DVC_SITE_CACHE_DIR"):
        monkeypatch.setenv(name, "/proc/odd")
    assert registry.resolve().splits


def test_data_store_of_the_repository_is_used_without_a_setting(template: RegistrySettings) -> None:
    registry = DvcDataRegistry(dataclasses.replace(template, remote_url=None))
    assert registry.resolve().files("train")[0].uri.startswith(f"{template.remote_url}/")


def test_a_git_url_works_like_a_path_and_leaves_no_clone_behind(
    settings: RegistrySettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))
    registry = DvcDataRegistry(dataclasses.replace(settings, repo=Address(f"file://{settings.repo}")))
    dataset = registry.resolve("1.10.0")
    assert len(registry.read(dataset, "train")) == len(CONTENT["1.10.0"]["train"])
    assert list(scratch.iterdir()) == []
    assert capfd.readouterr() == ("", "")


def test_a_path_relative_to_the_working_directory_works(
    settings: RegistrySettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(Path(str(settings.repo)).parent)
    dataset = DvcDataRegistry(dataclasses.replace(settings, repo=Address("registry.git"))).resolve()
    assert dataset.source == str(settings.repo)


def test_source_of_a_version_has_no_credentials(settings: RegistrySettings) -> None:
    repo = f"file://user:secret@localhost{settings.repo}"  # Git ignores the user of a file URL
    dataset = DvcDataRegistry(dataclasses.replace(settings, repo=Address(repo))).resolve()
    assert dataset.source == f"file://localhost{settings.repo}"


def test_legacy_version_loads(tmp_path: Path) -> None:
    content = toy_splits(test=0)
    registry = DvcDataRegistry(make_dvc_registry(tmp_path, {"1.0.0": content}, legacy={"1.0.0"}))
    dataset = registry.resolve()
    assert set(dataset.splits) == {"train", "val"}
    np.testing.assert_array_equal(registry.read(dataset, "train").images, content["train"].images)
    assert dataset.normalization.std > 0


def test_damaged_metadata_of_a_legacy_version_is_refused(tmp_path: Path) -> None:
    settings = make_dvc_registry(tmp_path, {"1.0.0": toy_splits()}, legacy={"1.0.0"})
    for path in (tmp_path / "store").rglob("*"):
        if path.is_file() and path.read_bytes().startswith(b"{"):
            path.chmod(0o644)
            path.write_bytes(path.read_bytes().replace(b"Fashion", b"fashion"))
    with pytest.raises(CorruptData, match=r"'metadata'.*damaged"):
        DvcDataRegistry(settings).resolve()


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("{", "not valid JSON"),
        ("[" * 100_000, "not valid JSON"),
        ("[]", "not a JSON object"),
        ("{}", "metrics.train.pixel_mean"),
        ('{"metrics": {"train": {"pixel_mean": 0.3, "pixel_std": 0.3}}}', "classes 0-9"),
    ],
)
def test_unusable_metadata_is_refused_by_path_and_version(
    settings: RegistrySettings, tmp_path: Path, content: str, complaint: str
) -> None:
    repo = _with_commit(settings, tmp_path, {settings.paths.metadata: content})
    with pytest.raises(CorruptData, match=rf"data/fashion-mnist/metadata.json of fashion-mnist-v9.0.0 .*{complaint}"):
        DvcDataRegistry(dataclasses.replace(settings, repo=Address(repo))).resolve()


def test_a_split_kept_in_git_itself_is_refused(settings: RegistrySettings, tmp_path: Path) -> None:
    repo = _with_commit(settings, tmp_path, {"plain.parquet": "x"})
    paths = RegistryPaths(train="plain.parquet")
    with pytest.raises(CorruptData, match=r"plain.parquet of fashion-mnist-v9.0.0 .* not tracked by DVC"):
        DvcDataRegistry(dataclasses.replace(settings, repo=Address(repo), paths=paths)).resolve()


def test_a_split_must_have_the_size_that_the_registry_records(
    registry: DvcDataRegistry, settings: RegistrySettings, tmp_path: Path
) -> None:
    dataset = registry.resolve("1.10.0")
    file = dataset.files("train")[0]
    assert file.size == Path(file.uri).stat().st_size
    pointer = f"{settings.paths.splits()['train']}.dvc"
    text = f"outs:\n- md5: {file.md5}\n  hash: md5\n  path: train.parquet\n"
    repo = _with_commit(settings, tmp_path, {pointer: text})
    without = DvcDataRegistry(dataclasses.replace(settings, repo=Address(repo)))
    assert without.resolve("9.0.0").files("train")[0].size is None
    assert len(without.read(without.resolve("9.0.0"), "train")) == len(registry.read(dataset, "train"))


def test_a_wrong_path_is_named_with_its_variable(settings: RegistrySettings) -> None:
    paths = RegistryPaths(val="nowhere/val.parquet")
    with pytest.raises(SplitNotFound, match=r"'val' at nowhere/val.parquet.*DVC_VAL_DATA_PATH"):
        DvcDataRegistry(dataclasses.replace(settings, paths=paths)).resolve()


def test_an_absent_metadata_path_is_named_with_its_variable(settings: RegistrySettings) -> None:
    paths = RegistryPaths(metadata="nowhere.json")
    with pytest.raises(CorruptData, match=r"nowhere.json of .*DVC_METRICS_PATH"):
        DvcDataRegistry(dataclasses.replace(settings, paths=paths)).resolve()


def test_unknown_remote_is_named(settings: RegistrySettings) -> None:
    unknown = dataclasses.replace(settings, remote="minikube", remote_url=None)
    with pytest.raises(InvalidSetting, match=r"'minikube' doesn't exist.*DVC_REMOTE"):
        DvcDataRegistry(unknown).resolve()


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ("", "train.parquet has no remote; set DVC_REMOTE to a remote of the registry, or DVC_REMOTE_URL"),
        ("url = ssh://127.0.0.1/x", "'dvc-ssh'.*; set DVC_REMOTE to a remote of the registry, or DVC_REMOTE_URL"),
        ("url = https://me:hunter2@127.0.0.1:9/x", "a user or password in its URL https://127.0.0.1:9/x/.*: remove"),
    ],
)
def test_a_remote_that_cannot_be_used_is_refused(
    settings: RegistrySettings, tmp_path: Path, options: str, complaint: str
) -> None:
    remote = f"[core]\n    remote = storage\n['remote \"storage\"']\n    {options}\n" if options else ""
    _with_commit(settings, tmp_path, {".dvc/config": remote})
    git(tmp_path / "changed", "push", "--quiet", "origin", "fashion-mnist-v9.0.0")
    with pytest.raises(InvalidSetting, match=complaint) as refused:
        DvcDataRegistry(dataclasses.replace(settings, remote_url=None)).resolve()
    assert "hunter2" not in str(refused.value)


def test_a_registry_that_dvc_cannot_read_is_named_with_the_cause(settings: RegistrySettings, tmp_path: Path) -> None:
    repo = _with_commit(settings, tmp_path, {"dvc.yaml": "stages: [\n"})
    with pytest.raises(StoreUnavailable, match=r"v9\.0\.0 of .* cannot be opened: .*dvc\.yaml(?s:.*)flow node"):
        DvcDataRegistry(dataclasses.replace(settings, repo=Address(repo))).resolve()


def test_remote_that_the_repository_lacks_gets_the_url_of_the_settings(settings: RegistrySettings) -> None:
    dataset = DvcDataRegistry(dataclasses.replace(settings, remote="minikube")).resolve()
    assert dataset.files("train")[0].uri.startswith(f"{settings.remote_url}/")


def test_s3_uri_is_returned_without_a_request_to_the_store(settings: RegistrySettings) -> None:
    dataset = DvcDataRegistry(dataclasses.replace(settings, remote_url="s3://bucket/prefix")).resolve()
    assert dataset.files("train")[0].uri.startswith("s3://bucket/prefix/files/md5/")


@hypothesis.settings(max_examples=10, suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture])
@hypothesis.given(name=st.text(st.characters(codec="utf-8", exclude_characters="/\0\n\r"), min_size=1, max_size=20))
@hypothesis.example("a b#,[x]{y}$'é\"::=@;&*~%2F?\\")
@hypothesis.example("-a: ")
def test_a_registry_in_a_directory_with_any_name_is_read(settings: RegistrySettings, tmp_path: Path, name: str) -> None:
    hypothesis.assume(name not in {".", "..", "copy"})
    home = Path(shutil.copytree(tmp_path / "copy", tmp_path / name / "home", dirs_exist_ok=True))
    registry = DvcDataRegistry(
        dataclasses.replace(settings, repo=Address(str(home / "registry.git")), remote_url=str(home / "store"))
    )
    dataset = registry.resolve()
    assert dataset.files("train")[0].uri.startswith(f"{home}/store/")
    assert len(registry.read(dataset, "train")) > 0


@pytest.mark.parametrize("method", ["versions", "resolve"])
@pytest.mark.parametrize(
    ("repo", "way_out"),
    [
        ("{}/absent.git", "make one with `fmnist data build`, or correct DVC_REPO_URL"),
        ("{}", "make one with `fmnist data build`, or correct DVC_REPO_URL"),
        ("file://{}/absent.git", "correct DVC_REPO_URL"),
        ("https://127.0.0.1:9/repo.git", "check that the server runs .*DVC_REPO_URL"),
    ],
)
def test_error_for_a_missing_repository_names_it_and_says_what_to_do(
    tmp_path: Path, repo: str, way_out: str, method: str
) -> None:
    registry = DvcDataRegistry(RegistrySettings(repo=Address(repo.format(tmp_path))))
    with pytest.raises(StoreUnavailable, match=f"does not answer.*; {way_out}$"):
        getattr(registry, method)()


def test_a_repository_without_dvc_lacks_its_splits(tmp_path: Path) -> None:
    git(tmp_path, "init", "--quiet", "--initial-branch=main", "plain")
    author = ("-c", "user.name=test", "-c", "user.email=test@localhost", "-c", "commit.gpgSign=false")
    git(tmp_path / "plain", *author, "commit", "--quiet", "--allow-empty", "--message", "x")
    git(tmp_path / "plain", "tag", "fashion-mnist-v1.0.0")
    with pytest.raises(SplitNotFound, match=r"v1\.0\.0 of .* has no split"):
        DvcDataRegistry(RegistrySettings(repo=Address(str(tmp_path / "plain")))).resolve()


def _with_commit(settings: RegistrySettings, tmp_path: Path, files: dict[str, str]) -> str:
    """Return a repository with a version 9.0.0 that adds or changes these files."""
    work = tmp_path / "changed"
    change_files(str(settings.repo), work, files, branch="fashion-mnist-v1.10.0")
    git(work, "tag", "fashion-mnist-v9.0.0")
    return str(work)


def test_git_server_that_stops_answering_while_dvc_reads_times_out(
    settings: RegistrySettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fmnist.adapters.git.remote._SILENT_SECONDS", 5)
    (port,) = free_ports(1)
    with running(git_server(port, Path(str(settings.repo)).parent), tmp_path), silent_after(port, calls=1) as address:
        registry = DvcDataRegistry(dataclasses.replace(settings, repo=Address(f"git://{address}/registry.git")))
        with pytest.raises(
            StoreUnavailable, match=rf"v1\.10\.0 of git://{address}/.* cannot be opened: .* no answer within 5 s"
        ):
            registry.resolve()


@contextmanager
def silent_after(port: int, calls: int) -> Iterator[str]:
    """Forward a number of connections to `port`, then accept connections and send nothing; yield the address."""

    def serve(door: socket.socket) -> None:
        for _ in range(calls):
            caller, _ = door.accept()
            with caller, socket.create_connection((HOST, port)) as service:
                back = threading.Thread(target=copy, args=(service, caller), daemon=True)
                back.start()
                copy(caller, service)
                back.join()

    with socket.create_server((HOST, 0)) as door:
        threading.Thread(target=serve, args=(door,), daemon=True).start()
        yield f"{HOST}:{door.getsockname()[1]}"
